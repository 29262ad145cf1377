//! Certificates, as cert-manager fulfils them.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::controller::Action;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::objects::{Kind, Object, SOON, with_condition};

/// cert-manager's own default.
const DAYS: i64 = 90;

/// Issues what is missing, does not fit any more, or was asked for anew.
pub async fn reconcile(object: &Object) -> Result<Action> {
    if object.is_going() {
        return Ok(Action::await_change());
    }
    if let Some(missing) = missing_issuer(object).await? {
        object.set_condition("Ready", false, "DoesNotExist", &missing).await?;
        return Ok(Action::requeue(SOON));
    }
    let wanted = annotations(object);
    let secret = object.secret(object.text("secretName")).await?;
    let fits = secret.as_ref().is_some_and(|secret| fits(secret, &wanted));
    let asked = conditions(object).iter().any(|c| c["type"] == "Issuing" && c["status"] == "True");
    if !fits || asked || object.status()["notAfter"].is_null() {
        issue(object, &wanted).await?;
    }
    Ok(Action::await_change())
}

/// Marks a Certificate as to be issued anew.
pub async fn renew(client: Client, namespace: &str, name: &str) -> Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &Kind::Certificate.resource());
    let now = api.get(name).await?;
    let conditions = now.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let message = "Certificate re-issuance manually triggered";
    let conditions = with_condition(conditions, "Issuing", true, "ManuallyTriggered", message);
    let status = json!({ "status": { "conditions": conditions } });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
    Ok(())
}

async fn issue(object: &Object, annotations: &BTreeMap<String, String>) -> Result<()> {
    let hosts = hosts(object);
    let common = [object.text("commonName"), hosts.first().map_or("", String::as_str)];
    let common = common.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let from = OffsetDateTime::now_utc().replace_nanosecond(0)?;
    let until = from + Duration::days(DAYS);
    let leaf = object.state.authority.dated(common, &hosts, from, until)?;

    let template = &object.spec()["secretTemplate"];
    let mut metadata = json!({
        "name": object.text("secretName"),
        "annotations": annotations,
        "labels": { "controller.cert-manager.io/fao": "true" },
    });
    for field in ["annotations", "labels"] {
        if let (Some(all), Some(more)) = (metadata[field].as_object_mut(), template[field].as_object()) {
            all.extend(more.clone());
        }
    }
    let secret = json!({
        "metadata": metadata,
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": encoded(&leaf.certificate),
            "tls.key": encoded(&leaf.key),
            "ca.crt": encoded(object.state.authority.pem()),
        },
    });
    // Not owned: as in the real one, it outlives its Certificate.
    object.apply::<Secret>(secret, false).await?;

    let message = "Certificate is up to date and has not expired";
    let mut conditions = with_condition(conditions(object), "Ready", true, "Ready", message);
    conditions.retain(|condition| condition["type"] != "Issuing");
    object
        .set_status(json!({
            "conditions": conditions,
            "notBefore": from.format(&Rfc3339)?,
            "notAfter": until.format(&Rfc3339)?,
            "renewalTime": (until - Duration::days(DAYS / 3)).format(&Rfc3339)?,
            "revision": object.status()["revision"].as_i64().unwrap_or_default() + 1,
        }))
        .await
}

/// The words for an issuer that is not there.
async fn missing_issuer(object: &Object) -> Result<Option<String>> {
    let reference = &object.spec()["issuerRef"];
    let name = reference["name"].as_str().unwrap_or_default();
    let kind = reference["kind"].as_str().unwrap_or("Issuer");
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", kind));
    let client = object.state.client.clone();
    let api: Api<DynamicObject> = if kind == "ClusterIssuer" {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, &object.namespace, &resource)
    };
    let found = api.get_opt(name).await?;
    Ok(found.is_none().then(|| format!("Referenced {kind:?} not found: {kind} {name:?} does not exist")))
}

fn fits(secret: &Secret, wanted: &BTreeMap<String, String>) -> bool {
    let has =
        |key: &str| secret.data.as_ref().is_some_and(|data| data.get(key).is_some_and(|v| !v.0.is_empty()));
    wanted.iter().all(|(key, value)| secret.annotations().get(key) == Some(value))
        && has("tls.crt")
        && has("tls.key")
}

/// What the Secret says of its certificate: with other words it does not fit.
fn annotations(object: &Object) -> BTreeMap<String, String> {
    let reference = &object.spec()["issuerRef"];
    let text = |field: &Value, otherwise: &str| field.as_str().unwrap_or(otherwise).to_owned();
    [
        ("certificate-name", object.name.clone()),
        ("issuer-name", text(&reference["name"], "")),
        ("issuer-kind", text(&reference["kind"], "Issuer")),
        ("issuer-group", text(&reference["group"], "cert-manager.io")),
        ("common-name", object.text("commonName").to_owned()),
        ("alt-names", names(&object.spec()["dnsNames"]).join(",")),
        ("ip-sans", names(&object.spec()["ipAddresses"]).join(",")),
    ]
    .into_iter()
    .map(|(key, value)| (format!("cert-manager.io/{key}"), value))
    .collect()
}

fn hosts(object: &Object) -> Vec<String> {
    let mut hosts = names(&object.spec()["dnsNames"]);
    hosts.extend(names(&object.spec()["ipAddresses"]));
    hosts
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn conditions(object: &Object) -> Vec<Value> {
    object.status()["conditions"].as_array().cloned().unwrap_or_default()
}

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
