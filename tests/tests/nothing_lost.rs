//! Nothing lost: under load, Hansard, its event log and its recorder are killed at random moments, and afterwards the
//! record holds every frame once and in order, and every row that the database has.
