//! The question of the API server and the answer to it (`AdmissionReview` of `admission.k8s.io/v1`), as values.

use crds::common::Storage;
use crds::{ErgoNetwork, Server, SojuBouncer};
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::known::{Id, Kind};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// Words longer than this are cut by the API server.
const LONGEST_WARNING: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Request,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    kind: GroupKind,
    operation: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Debug, Deserialize)]
struct GroupKind {
    #[serde(default)]
    group: String,
    kind: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Debug, Serialize)]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u16,
    reason: &'static str,
    message: String,
}

/// A resource, one of the two kinds.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A bouncer.
    Bouncer(Box<SojuBouncer>),
    /// A network.
    Network(Box<ErgoNetwork>),
}

impl Resource {
    /// Reads one. `None` for what is none: the API server has its own words for that.
    fn read(kind: Kind, object: Value) -> Option<Self> {
        if object.is_null() {
            return None;
        }
        Some(match kind {
            Kind::Bouncer => Self::Bouncer(serde_json::from_value(object).ok()?),
            Kind::Network => Self::Network(serde_json::from_value(object).ok()?),
        })
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Bouncer(bouncer) => &bouncer.metadata,
            Self::Network(network) => &network.metadata,
        }
    }

    /// What both kinds have.
    pub fn server(&self) -> &dyn Server {
        match self {
            Self::Bouncer(bouncer) => &**bouncer,
            Self::Network(network) => &**network,
        }
    }

    /// Whom it belongs to.
    pub fn owner(&self) -> Option<&str> {
        let owner = match self {
            Self::Bouncer(bouncer) => &bouncer.spec.owner,
            Self::Network(network) => &network.spec.owner,
        };
        owner.as_ref().map(|owner| owner.sub.as_str())
    }

    /// The plan it is paid by.
    pub fn plan(&self) -> Option<&str> {
        let plan = match self {
            Self::Bouncer(bouncer) => &bouncer.spec.plan,
            Self::Network(network) => &network.spec.plan,
        };
        plan.as_ref().map(|plan| plan.as_str())
    }

    /// Its volume.
    pub fn storage(&self) -> &Storage {
        match self {
            Self::Bouncer(bouncer) => &bouncer.spec.database.storage,
            Self::Network(network) => &network.spec.storage,
        }
    }

    /// The version of the server, where it names one.
    pub fn version(&self) -> Option<&str> {
        let version = match self {
            Self::Bouncer(bouncer) => &bouncer.spec.version,
            Self::Network(network) => &network.spec.version,
        };
        version.as_ref().map(|version| version.as_str())
    }

    /// Whether an annotation says `true`.
    pub fn says(&self, annotation: &str) -> bool {
        let annotations = self.meta().annotations.as_ref();
        annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == "true")
    }

    fn name(&self) -> Option<&str> {
        self.meta().name.as_deref()
    }

    fn is_being_deleted(&self) -> bool {
        self.meta().deletion_timestamp.is_some()
    }

    fn wants_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bouncer(one), Self::Bouncer(other)) => one.spec == other.spec,
            (Self::Network(one), Self::Network(other)) => one.spec == other.spec,
            _ => false,
        }
    }
}

/// Something that may be worth a word: a resource is made, or what it asks for is changed.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which.
    pub id: Id,
    /// What it asks for from now on.
    pub new: Resource,
    /// What it asked for so far; `None` where it is made.
    pub old: Option<Resource>,
}

/// What is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Why it is refused; empty where it is not.
    pub refused: Vec<String>,
    /// What is said all the same.
    pub warnings: Vec<String>,
}

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There was nothing to say.
    Allowed,
    /// It may be, and something was said.
    Warned,
    /// It may not be.
    Refused,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The kind it is about, if it is one of ours.
    pub kind: Option<Kind>,
    /// How it was answered.
    pub outcome: Outcome,
    /// The answer as the API server wants it.
    pub body: Value,
}

/// What came is no question.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is not the JSON of a review.
    #[error("this is no AdmissionReview: {0}")]
    Json(#[from] serde_json::Error),
    /// It is a review of another version.
    #[error("only AdmissionReview of {API_VERSION} is understood")]
    Version,
}

/// Answers what came, with the words that `decide` has for it. It is asked only about what is made or changed: whatever is
/// deleted, is being deleted, or stays as it is, passes.
pub fn answer(body: &[u8], decide: impl FnOnce(&Question) -> Words) -> Result<Answer, Unread> {
    let Review { api_version, kind, request } = serde_json::from_slice(body)?;
    if api_version != API_VERSION || kind != KIND {
        return Err(Unread::Version);
    }
    let kind = (request.kind.group == crds::GROUP).then(|| Kind::parse(&request.kind.kind)).flatten();
    let uid = request.uid.clone();
    let Words { refused, warnings } =
        kind.and_then(|kind| question(kind, request)).map(|question| decide(&question)).unwrap_or_default();
    let outcome = match (refused.is_empty(), warnings.is_empty()) {
        (true, true) => Outcome::Allowed,
        (true, false) => Outcome::Warned,
        (false, _) => Outcome::Refused,
    };
    let status = (outcome == Outcome::Refused).then(|| Status {
        code: 403,
        reason: "Forbidden",
        message: refused.join("; "),
    });
    let reply = Reply {
        api_version: API_VERSION,
        kind: KIND,
        response: Response {
            uid: &uid,
            allowed: status.is_none(),
            status,
            warnings: warnings.iter().map(|words| words.chars().take(LONGEST_WARNING).collect()).collect(),
        },
    };
    Ok(Answer { kind, outcome, body: serde_json::to_value(reply)? })
}

fn question(kind: Kind, request: Request) -> Option<Question> {
    let is_update = match request.operation.as_str() {
        "CREATE" => false,
        "UPDATE" => true,
        _ => return None,
    };
    let new = Resource::read(kind, request.object).filter(|new| !new.is_being_deleted())?;
    let old = if is_update { Some(Resource::read(kind, request.old_object)?) } else { None };
    if old.as_ref().is_some_and(|old| old.wants_the_same(&new)) {
        return None;
    }
    // Where a resource is made, the request itself need not name it.
    let name = if request.name.is_empty() { new.name().unwrap_or_default().to_owned() } else { request.name };
    Some(Question { id: Id { kind, namespace: request.namespace, name }, new, old })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn review(operation: &str, object: &Value, old: &Value) -> Vec<u8> {
        json!({
            "apiVersion": API_VERSION, "kind": KIND,
            "request": {
                "uid": "u", "kind": { "group": "irc.now", "version": "v1alpha1", "kind": "SojuBouncer" },
                "operation": operation, "namespace": "home", "name": "alice", "object": object, "oldObject": old,
            },
        })
        .to_string()
        .into_bytes()
    }

    fn bouncer(host: &str) -> Value {
        json!({
            "apiVersion": "irc.now/v1alpha1", "kind": "SojuBouncer",
            "metadata": { "name": "alice", "namespace": "home" }, "spec": { "hostname": host },
        })
    }

    /// What comes of a question if everything that is asked about is refused.
    fn refused(body: &[u8]) -> Answer {
        answer(body, |_| Words { refused: vec!["no".into()], warnings: Vec::new() }).unwrap()
    }

    #[test]
    fn only_what_is_made_or_changed_is_asked_about() {
        let (a, b) = (bouncer("a.example.org"), bouncer("b.example.org"));
        let mut going = b.clone();
        going["metadata"]["deletionTimestamp"] = "2026-11-21T00:00:00Z".into();
        let cases = [
            ("CREATE", &a, &Value::Null, Outcome::Refused),
            ("UPDATE", &b, &a, Outcome::Refused),
            ("UPDATE", &a, &a, Outcome::Allowed),
            ("UPDATE", &going, &a, Outcome::Allowed),
            ("DELETE", &Value::Null, &a, Outcome::Allowed),
            ("DELETE", &b, &a, Outcome::Allowed),
            ("CONNECT", &a, &Value::Null, Outcome::Allowed),
        ];
        for (operation, object, old, wanted) in cases {
            assert_eq!(refused(&review(operation, object, old)).outcome, wanted, "{operation}");
        }
    }

    #[test]
    fn an_answer_names_its_question_and_says_why() {
        let body = refused(&review("CREATE", &bouncer("a.example.org"), &Value::Null)).body;
        assert_eq!(body["response"]["uid"], "u");
        assert_eq!(body["response"]["allowed"], false);
        assert_eq!(
            body["response"]["status"],
            json!({ "code": 403, "reason": "Forbidden", "message": "no" })
        );
        let body = answer(&review("CREATE", &bouncer("a.example.org"), &Value::Null), |question| {
            assert_eq!(question.id.name, "alice");
            Words { refused: Vec::new(), warnings: vec!["é".repeat(300)] }
        });
        let body = body.unwrap().body;
        assert_eq!(body["response"]["allowed"], true);
        assert_eq!(body["response"]["warnings"][0].as_str().unwrap().chars().count(), LONGEST_WARNING);
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_api_server() {
        let odd = json!({ "spec": { "hostname": 7 } });
        assert_eq!(refused(&review("CREATE", &odd, &Value::Null)).outcome, Outcome::Allowed);
        assert!(answer(b"{}", |_| Words::default()).is_err());
        let old = String::from_utf8(review("CREATE", &odd, &Value::Null))
            .unwrap()
            .replace("k8s.io/v1", "k8s.io/v1beta1");
        assert!(matches!(answer(old.as_bytes(), |_| Words::default()), Err(Unread::Version)));
    }
}
