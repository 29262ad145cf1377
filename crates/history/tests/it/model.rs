//! Random appends and pages against a model in memory.
