//! Why one look at one resource did not come to its end.

use std::time::Duration;

/// Why one look at one resource did not come to its end. Every variant has a static label for the figures, and says
/// in its message what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is not there yet. Not a failure: the condition says so, and it is looked at again.
    #[error("{message}")]
    NotReady {
        /// The condition this belongs to.
        condition: &'static str,
        /// One word for programs.
        reason: &'static str,
        /// A sentence for people.
        message: String,
        /// When to look again, if nothing changes before.
        after: Duration,
    },
    /// The resource asks for something that cannot be had. Only a change of it, or of the installation, helps.
    #[error("{message}")]
    Invalid {
        /// The condition this belongs to.
        condition: &'static str,
        /// One word for programs.
        reason: &'static str,
        /// A sentence for people.
        message: String,
    },
    /// Another process leads.
    #[error("another process holds the lease: nothing is written here")]
    NotLeader,
    /// The namespace is being deleted, so nothing can be made in it.
    #[error("the namespace is being deleted: nothing can be made in it")]
    Terminating,
    /// An object of that name is there, and it is somebody else's.
    #[error(
        "{object} exists and belongs to somebody else: delete or rename it, or give this resource another name"
    )]
    Foreign {
        /// Which.
        object: String,
    },
    /// The API server does not serve a kind that is needed.
    #[error("the cluster has no {kind}: install its definition")]
    NoKind {
        /// `group/Kind`.
        kind: String,
    },
    /// The API server refused, or did not answer.
    #[error("{doing}: {}", said(source))]
    Api {
        /// What was being done.
        doing: String,
        /// Why it did not work.
        source: kube::Error,
    },
    /// Something that should be impossible; a fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// What the API server said, as a sentence: without the structures that only a program reads.
pub fn said(error: &kube::Error) -> String {
    let kube::Error::Api(status) = error else {
        return format!("the API server does not answer: {}", causes(error));
    };
    let message = status.message.trim();
    let message = if message.is_empty() { status.reason.as_str() } else { message };
    let (what, then) = match status.code {
        401 => ("does not know us", "check the token of the operator's ServiceAccount"),
        403 => {
            ("does not allow it", "give the operator's ServiceAccount that right, or lift the quota it names")
        }
        404 => ("does not find it", ""),
        409 => ("says that somebody else was faster", ""),
        422 => ("refuses it", "change what the resource asks for"),
        429 => ("is too busy", ""),
        500.. => ("is not well", ""),
        _ => ("refuses it", ""),
    };
    let mut sentence = format!("the API server {what} ({})", status.code);
    for more in [message, then] {
        if !more.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(more);
        }
    }
    sentence
}

/// An error with its causes, each said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

impl Error {
    /// What the API server said while something was done. A refusal because the namespace is going is a wait.
    pub fn api(doing: impl Into<String>, source: kube::Error) -> Self {
        if let kube::Error::Api(status) = &source
            && status.code == 403
            && status.details.as_ref().is_some_and(|details| {
                details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
            })
        {
            return Self::Terminating;
        }
        Self::Api { doing: doing.into(), source }
    }

    /// The label it is counted by.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotReady { .. } => "not_ready",
            Self::Invalid { .. } => "invalid",
            Self::NotLeader => "not_leader",
            Self::Terminating => "terminating",
            Self::Foreign { .. } => "foreign",
            Self::NoKind { .. } => "no_kind",
            Self::Internal(_) => "internal",
            Self::Api { source, .. } => match source {
                kube::Error::Api(status) => match status.code {
                    403 => "forbidden",
                    404 => "not_found",
                    409 => "conflict",
                    422 => "refused",
                    429 => "throttled",
                    500.. => "server",
                    _ => "client",
                },
                _ => "unreachable",
            },
        }
    }

    /// The condition it is shown in, besides `Ready`.
    pub fn condition(&self) -> Option<&'static str> {
        match self {
            Self::NotReady { condition, .. } | Self::Invalid { condition, .. } => Some(condition),
            _ => None,
        }
    }

    /// One word for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotReady { reason, .. } | Self::Invalid { reason, .. } => reason,
            Self::NotLeader => "NotLeader",
            Self::Terminating => "NamespaceTerminating",
            Self::Foreign { .. } => "NameTaken",
            Self::NoKind { .. } => "DefinitionMissing",
            Self::Internal(_) => "InternalError",
            Self::Api { source: kube::Error::Api(status), .. } => match status.code {
                403 => "Forbidden",
                409 => "Conflict",
                422 => "Refused",
                _ => "ApiError",
            },
            Self::Api { .. } => "ApiUnreachable",
        }
    }

    /// When to look again: `None` leaves it to the back-off.
    pub fn after(&self) -> Option<Duration> {
        match self {
            Self::NotReady { after, .. } => Some(*after),
            Self::Terminating => Some(Duration::from_secs(5)),
            // A change of the resource wakes it at once; this is for changes of the installation.
            Self::Invalid { .. } => Some(Duration::from_secs(600)),
            _ => None,
        }
    }

    /// Whether it is shown in the resource's status. What says nothing about the resource is not.
    pub fn is_shown(&self) -> bool {
        match self {
            Self::NotLeader | Self::Terminating => false,
            Self::Api { source: kube::Error::Api(status), .. } => ![409, 429].contains(&status.code),
            Self::Api { .. } => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn a_refusal_is_a_sentence_that_says_what_to_do() {
        let message =
            "secrets \"a-config\" is forbidden: User \"operator\" cannot patch resource \"secrets\"";
        let status = Status::failure(message, "Forbidden").with_code(403);
        let error = Error::api("applying Secret home/a-config", kube::Error::Api(status.boxed()));
        assert_eq!(
            error.to_string(),
            format!(
                "applying Secret home/a-config: the API server does not allow it (403): {message}: \
                 give the operator's ServiceAccount that right, or lift the quota it names"
            )
        );
    }

    #[test]
    fn a_status_without_a_message_still_says_its_reason() {
        let status = Status::failure("", "Gone").with_code(410);
        let error = Error::api("reading", kube::Error::Api(status.boxed()));
        assert_eq!(error.to_string(), "reading: the API server refuses it (410): Gone");
    }
}
