//! Identity and tokens: accounts, login, the OpenID provider, app passwords, SASL for every door, introspection and the change feed.
