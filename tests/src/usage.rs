//! What a process uses of its machine, as Linux tells it.

use anyhow::{Context, Result, bail};

/// Open files, threads and memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub files: usize,
    pub threads: usize,
    /// Resident, in bytes.
    pub resident: u64,
    /// The most that was resident, in bytes: ever, or since [`forget_peak`].
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

/// Has [`Usage::peak`] begin anew with what is resident now; see `clear_refs` in proc(5).
pub fn forget_peak(id: u32) -> Result<()> {
    Ok(std::fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

/// User and system time of a process and all its threads, in seconds; see proc(5).
pub fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        // The kernel counts in hundredths of a second for everybody who asks here.
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => bail!("/proc/{id}/stat: {stat}"),
    }
}
