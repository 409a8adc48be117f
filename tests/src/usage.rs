//! What a process uses of its machine, as Linux tells it.

use anyhow::{Context, Result};

/// Open files, threads and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub files: usize,
    pub threads: usize,
    /// Resident, in bytes.
    pub resident: u64,
    /// The most that was ever resident, in bytes.
    pub peak: u64,
}

/// What the process uses now.
pub fn usage(id: u32) -> Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let memory = |name: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().next().context("a number")?.parse::<u64>()? * 1024)
    };
    Ok(Usage {
        files: std::fs::read_dir(format!("/proc/{id}/fd"))?.count(),
        threads: std::fs::read_dir(format!("/proc/{id}/task"))?.count(),
        resident: memory("VmRSS:")?,
        peak: memory("VmHWM:")?,
    })
}
