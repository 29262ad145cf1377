//! Real servers, clients and browsers for tests, started and stopped.
