//! An async IRC client session: TCP, TLS and WebSocket; CAP, SASL, reconnection with backoff and jitter.
