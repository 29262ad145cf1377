//! The shell around bouncer-core: always-on upstream connections for many users, their devices, history and replay.
