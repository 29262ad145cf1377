//! The configuration.

service::config! {
    /// The webhook that speaks early about bouncers and networks.
    pub struct Config in "admission" {
        /// Where the API server asks, with TLS.
        pub listen: std::net::SocketAddr = "127.0.0.1:9443",
        /// Where figures, health and readiness are served. Keep it off public networks.
        pub admin_listen: std::net::SocketAddr = "127.0.0.1:9107",
        /// The namespace it runs in.
        pub namespace: String = "ircnow-system",
        /// The Service the API server finds it by: the certificate it makes itself is for this name.
        pub service: String = "ircnow-admission",
        /// The `ValidatingWebhookConfiguration` it writes its authority into.
        pub configuration: String = "ircnow-admission",
        /// The Secret in its namespace that keeps the authority it makes itself, for all its replicas.
        pub secret: String = "ircnow-admission",
        /// How long an authority it makes itself is good for; a new one takes its place after two thirds of that.
        pub authority_lifetime: std::time::Duration = "90d",
        /// The certificate chain (PEM) of somebody else, such as cert-manager: then it makes none itself, and whoever made it
        /// writes its authority into the configuration.
        pub certificate: Option<std::path::PathBuf>,
        /// The private key of `certificate`.
        pub certificate_key: Option<std::path::PathBuf>,
    }
}
