//! What every service needs: config, tracing, metrics and health, databases, the guarded dialer, shutdown, error pages.
