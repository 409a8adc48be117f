//! The JSON shapes of the HTTP API, shared by the server, the web replay and the command line.
