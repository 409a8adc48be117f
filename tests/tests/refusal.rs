//! Nothing unrecorded runs: when the event log is full or gone, jobs are refused with SQLSTATE 58030, nothing reaches
//! the database, and service resumes by itself.
