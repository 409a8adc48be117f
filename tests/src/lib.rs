//! Harness of the end-to-end tests: real clusters, brokers and processes.
