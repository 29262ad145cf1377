//! irc.now and my.irc.now: landing pages, account, networks, connection pages, app passwords, export and deletion.
