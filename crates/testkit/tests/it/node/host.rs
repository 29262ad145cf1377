//! The node and the machine it is on: names, servers of the host, an API server that is away, what is left behind.

use std::process::{Command, Stdio};

use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::api::Api;
use serde_json::json;
use testkit::cluster::Cluster;
use testkit::cluster::node::{Node, Options};
use testkit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{LIVE, is_ready, pod, shell, stage, stage_with, with};

/// A server that says `word` to everyone, on loopback.
async fn server(word: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whoever breaks off does not end the server.
            let _ = stream.write_all(word.as_bytes()).await;
        }
    });
    port
}

fn ask(name: &str, port: u16) -> [String; 3] {
    ["bash".into(), "-c".into(), format!("exec 3<>/dev/tcp/{name}/{port}; cat <&3")]
}

#[tokio::test]
async fn names_follow_readiness() {
    let Some(stage) = stage("names").await else { return };
    stage
        .apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "one"},
            "spec": {"selector": {"app": "one"}, "ports": [{"port": 1}]},
        }))
        .await;
    let container = with(
        shell("main", &format!("touch /scratch/ready; {LIVE}")),
        json!({
            "readinessProbe": {"exec": {"command": ["test", "-e", "/scratch/ready"]}, "periodSeconds": 1, "failureThreshold": 1},
            "volumeMounts": [{"name": "work", "mountPath": "/scratch"}],
        }),
    );
    stage.apply(pod("one", &[container], json!({"volumes": [{"name": "work", "emptyDir": {}}]}))).await;
    stage
        .apply(pod(
            "other",
            &[shell("main", LIVE)],
            json!({"hostAliases": [{"ip": "10.0.0.7", "hostnames": ["alias"]}]}),
        ))
        .await;
    stage.pod_ready("one").await;
    stage.pod_ready("other").await;
    let address = stage.node.pod_address(stage.space.name(), "one").await.unwrap();
    let line = format!("{address}\tone.{0}.svc.cluster.local one.{0}.svc one.{0} one", stage.space.name());
    let knows = |wanted: bool| {
        let line = line.clone();
        let stage = &stage;
        eventually(format!("{line} {wanted}"), move || {
            let line = line.clone();
            async move {
                let file = stage.output("other", &["cat", "/etc/hosts"]).await;
                assert!(file.contains("10.0.0.7\talias"), "{file}");
                (file.lines().any(|known| known == line) == wanted).then_some(())
            }
        })
    };
    knows(true).await;
    stage.output("one", &["rm", "/scratch/ready"]).await;
    knows(false).await;
    stage.output("one", &["touch", "/scratch/ready"]).await;
    knows(true).await;
}

#[tokio::test]
async fn a_service_whose_port_leads_elsewhere_is_refused_in_words() {
    let Some(stage) = stage("ports").await else { return };
    stage
        .apply(json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }))
        .await;
    assert!(stage.event("web", "NotImplemented").await.contains("port 80 leads to 8080"));
}

#[tokio::test]
async fn pods_reach_a_server_of_the_host_by_its_name_and_by_a_service_of_another_namespace() {
    testkit::part!(Kubernetes);
    let cluster = Cluster::shared().await.unwrap();
    let databases = cluster.namespace("databases").await.unwrap();
    let options = Options {
        named_namespaces: vec![databases.name().to_owned()],
        host_names: vec!["auth.irc.test".into()],
        ..Options::default()
    };
    let Some(stage) = stage_with("hosted", options).await else { return };
    let port = server("hello").await;
    let address = stage.node.expose(port).await.unwrap();
    assert_eq!(address.ip(), stage.node.host());
    stage.apply(pod("asker", &[shell("main", LIVE)], json!({}))).await;
    stage.pod_ready("asker").await;
    for name in ["host.testkit", "auth.irc.test"] {
        let [bash, flag, script] = ask(name, port);
        assert_eq!(stage.output("asker", &[&bash, &flag, &script]).await, "hello", "{name}");
    }
    let service = format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: pg-rw}}
spec: {{ports: [{{port: {port}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: pg-rw-1, labels: {{kubernetes.io/service-name: pg-rw}}}}
addressType: IPv4
ports: [{{port: {port}}}]
endpoints: [{{addresses: ['{}']}}]
",
        stage.node.host()
    );
    cluster.apply(&service, Some(databases.name())).await.unwrap();
    let [bash, flag, script] = ask(&format!("pg-rw.{}.svc", databases.name()), port);
    eventually("the database's name", || async {
        let words = [bash.as_str(), &flag, &script];
        let output = stage.node.exec(stage.space.name(), "asker", "main", &words).await.unwrap();
        (output.stdout == b"hello").then_some(())
    })
    .await;
}

#[tokio::test]
async fn pods_run_on_while_the_api_server_is_away_and_the_node_goes_on_when_it_is_back() {
    testkit::part!(Kubernetes);
    let mut cluster = Cluster::start().await.unwrap();
    let held = cluster.namespace("outage").await.unwrap();
    let space = held.name().to_owned();
    let Some(node) = Node::start_or_skip(&cluster, Options::default()).await.unwrap() else { return };
    let container = with(
        shell(
            "main",
            "echo run; trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i > /scratch/count; sleep 0.05; done",
        ),
        json!({"volumeMounts": [{"name": "work", "mountPath": "/scratch"}]}),
    );
    let object = pod("runs", &[container], json!({"volumes": [{"name": "work", "emptyDir": {}}]}));
    cluster.apply(&object.to_string(), Some(&space)).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.admin().await.unwrap(), &space);
    eventually("ready", || async { pods.get("runs").await.ok().filter(is_ready) }).await;
    cluster.kill_api().unwrap();
    let count = || async {
        node.output(&space, "runs", "main", &["cat", "/scratch/count"]).await.unwrap_or_default()
    };
    let before = count().await;
    eventually("it counts on", || async { Some(count().await).filter(|now| *now != before) }).await;
    // What happens meanwhile is told afterwards.
    node.exec(&space, "runs", "main", &["kill", "1"]).await.unwrap();
    eventually("it is started again", || async {
        (node.logs(&space, "runs", "main") == "run\nrun\n").then_some(())
    })
    .await;
    cluster.start_api().await.unwrap();
    let pods: Api<Pod> = Api::namespaced(cluster.admin().await.unwrap(), &space);
    eventually("the restart is told", || async {
        let pod = pods.get("runs").await.ok()?;
        (is_ready(&pod) && super::status_of(&pod, "main").restart_count == 1).then_some(())
    })
    .await;
    cluster.apply(&pod("next", &[shell("main", LIVE)], json!({})).to_string(), Some(&space)).await.unwrap();
    eventually("a new Pod is ready", || async { pods.get("next").await.ok().filter(is_ready) }).await;
}

/// What of a node can be seen on the machine: interfaces, namespaces, containers' processes.
fn traces(node: &str) -> String {
    let number = node.trim_start_matches("testkit-");
    let script = format!(
        "ip -o link | grep -E ' (ircnow{number}|irv{number}-)'; ip netns | grep '^ircnow{number}-'; \
         ls /run/ircnow-node/{number} | grep -v '^lock$'; cat /proc/mounts | grep /run/ircnow-node/{number}/; true"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_node_is_known_while_it_lives_and_leaves_nothing_behind() {
    let Some(stage) = stage("traces").await else { return };
    let nodes: Api<NodeObject> = Api::all(stage.client.clone());
    let name = stage.node.name();
    assert!(nodes.get_opt(&name).await.unwrap().is_some());
    let container =
        with(shell("main", LIVE), json!({"volumeMounts": [{"name": "small", "mountPath": "/small"}]}));
    let more = json!({"volumes": [{"name": "small", "emptyDir": {"sizeLimit": "1Mi"}}]});
    stage.apply(pod("one", &[container], more)).await;
    stage.pod_ready("one").await;
    assert!(traces(&name).contains("irv"), "{}", traces(&name));
    let super::Stage { node, space, .. } = stage;
    drop(node);
    assert!(nodes.get_opt(&name).await.unwrap().is_none());
    drop(space);
    // While the lock is ours no other test's node is in that place.
    let lock = std::fs::File::open(format!("/run/ircnow-node/{}/lock", name.trim_start_matches("testkit-")))
        .unwrap();
    if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
        assert_eq!(traces(&name), "");
    }
}

#[tokio::test]
#[ignore = "run by the test below, in a process that dies"]
async fn dies_with_a_running_pod() {
    let Some(stage) = stage("dies").await else { return };
    stage.apply(pod("one", &[shell("main", LIVE)], json!({}))).await;
    stage.pod_ready("one").await;
    eprintln!("\nnode {}", stage.node.name());
    std::process::abort();
}

#[tokio::test]
async fn the_next_node_removes_what_a_killed_one_left() {
    testkit::part!(Kubernetes);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "node::host::dies_with_a_running_pod", "--nocapture"]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
    let Some(name) = said.lines().find_map(|line| line.strip_prefix("node ")) else {
        // Without root there is no node to die.
        assert!(said.contains("SKIPPED"), "{said}");
        return;
    };
    let Some(stage) = stage("heir").await else { return };
    let number = name.trim_start_matches("testkit-");
    eventually("its containers are gone", || async {
        let output = Command::new("sh")
            .args(["-c", &format!("cat /proc/[0-9]*/cgroup 2>/dev/null | grep -c 'ircnow-node-{number}/'")])
            .output()
            .unwrap();
        let own = stage.node.name() == name;
        let count = String::from_utf8(output.stdout).unwrap();
        (count.trim() == "0" || !own).then_some(())
    })
    .await;
    assert!(!traces(name).contains("irv") || stage.node.name() != name, "{}", traces(name));
}

#[tokio::test]
async fn a_pod_reaches_the_api_server_as_its_service_account_unless_it_says_no() {
    let Some(stage) = stage("apiaccess").await else { return };
    stage.apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}})).await;
    let account = |more| json!({"serviceAccountName": "runner", "automountServiceAccountToken": more});
    stage.apply(pod("speaks", &[shell("main", LIVE)], account(true))).await;
    stage.apply(pod("silent", &[shell("main", LIVE)], account(false))).await;
    stage.pod_ready("speaks").await;
    stage.pod_ready("silent").await;
    let ask = "import os,ssl,urllib.request as r\n\
               p='/var/run/secrets/kubernetes.io/serviceaccount/'\n\
               u='https://%s:%s/apis/authentication.k8s.io/v1/selfsubjectreviews' % (os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT'])\n\
               b=b'{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}'\n\
               q=r.Request(u, data=b, headers={'Authorization': 'Bearer '+open(p+'token').read(), 'Content-Type': 'application/json'})\n\
               print(r.urlopen(q, context=ssl.create_default_context(cafile=p+'ca.crt')).read().decode())";
    let said = stage.output("speaks", &["python3", "-c", ask]).await;
    assert!(said.contains(&format!("system:serviceaccount:{}:runner", stage.space.name())), "{said}");
    let folder = ["ls", "/var/run/secrets/kubernetes.io"];
    assert!(stage.node.output(stage.space.name(), "silent", "main", &folder).await.is_err());
}

#[tokio::test]
async fn a_server_in_a_pod_is_reached_from_the_host() {
    let Some(stage) = stage("reach").await else { return };
    let serve = "import socket\ns=socket.socket(); s.bind(('0.0.0.0',7000)); s.listen()\n\
                 while True:\n c=s.accept()[0]; c.send(b'from the pod'); c.close()";
    let container = with(
        shell("main", ""),
        json!({
            "command": ["python3", "-c", serve],
            "readinessProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1},
        }),
    );
    stage.apply(pod("door", &[container], json!({}))).await;
    stage.pod_ready("door").await;
    let address = stage.node.pod_address(stage.space.name(), "door").await.unwrap();
    let mut stream = tokio::net::TcpStream::connect((address, 7000)).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "from the pod");
}
