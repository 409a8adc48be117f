//! The web server: API and assets of the replay.
