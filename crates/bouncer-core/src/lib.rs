//! The rules of the bouncer: upstream bytes, device bytes, commit results and time in; bytes, appends and timers out.
