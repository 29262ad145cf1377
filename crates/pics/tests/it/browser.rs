//! The pages in Chromium: pictures put up by the field, by drag and by paste; albums; every page accessible, by keyboard
//! alone, on a phone, in both themes. Pictures of them go to `IRCNOW_SCREENSHOTS` if it is set.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::routing::get;
use serde_json::json;
use service::hosts::Hosts;
use service::serve::serve;
use service::sites::Sites;
use testkit::browser::Browser;
use testkit::wait::PATIENCE;
use tokio::net::TcpListener;

use crate::world::{Who, World, jpeg, png, world_at};

/// A site on a port of its own, and its address.
async fn served() -> (World, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = format!("http://localhost:{port}");
    let at = world_at(&base, &[]).await;
    let sites = Sites::from_base(&base).unwrap();
    let mut pages = at.site.clone();
    for name in ["alice", "root"] {
        let cookie = format!("{}; Path=/; Secure; HttpOnly; SameSite=Lax", at.cookie(name).await);
        let door = get(move || async move { ([("set-cookie", cookie)], "signed in") });
        pages = pages.route(&format!("/sign-in-of-this-test/{name}"), door);
    }
    let hosts = Hosts::new().site(&sites.pics, pages).site(&sites.i_pics, at.bytes.clone());
    tokio::spawn(serve(listener, hosts.into_router(), None, at.shutdown.clone()));
    (at, sites.pics.to_string())
}

/// Makes files of pictures that are painted in the page, and hands them over as a person does.
fn hand_over(how: &str, colours: &[&str]) -> String {
    let colours = json!(colours);
    format!(
        r#"(async () => {{
            const files = new DataTransfer();
            for (const colour of {colours}) {{
                const canvas = Object.assign(document.createElement('canvas'), {{ width: 640, height: 480 }});
                const pen = canvas.getContext('2d');
                pen.fillStyle = colour;
                pen.fillRect(0, 0, 600, 440);
                const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
                files.items.add(new File([blob], `${{colour}}.png`, {{ type: 'image/png' }}));
            }}
            const event = '{how}' === 'drop'
                ? new DragEvent('drop', {{ dataTransfer: files, bubbles: true, cancelable: true }})
                : new ClipboardEvent('paste', {{ clipboardData: files, bubbles: true, cancelable: true }});
            document.body.dispatchEvent(event);
        }})()"#
    )
}

/// Opens the gallery, where the page may be on its way there by itself.
async fn gallery(browser: &mut Browser, pics: &str) {
    let end = Instant::now() + PATIENCE;
    while let Err(error) = browser.goto(&format!("{pics}/")).await {
        assert!(Instant::now() < end, "the gallery does not open: {error:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_pictures_come_by_drag_and_by_paste_into_an_album_and_one_goes() {
    testkit::part!(Chromium);
    let (at, pics) = served().await;
    let mut browser = Browser::start().await.unwrap();
    browser.goto(&format!("{pics}/sign-in-of-this-test/alice")).await.unwrap();
    gallery(&mut browser, &pics).await;
    browser.wait_for("Nothing here yet").await.unwrap();
    browser.eval(&hand_over("drop", &["red", "green"])).await.unwrap();
    browser.wait_for("green.png").await.unwrap();
    browser.wait_for("red.png").await.unwrap();
    testkit::eventually("both to be there", || async {
        let page = at.get(Who::App("alice"), "/").await.text();
        ["red.png", "green.png"].iter().all(|name| page.contains(name)).then_some(())
    })
    .await;
    gallery(&mut browser, &pics).await;
    browser.eval(&hand_over("paste", &["blue"])).await.unwrap();
    browser.wait_for("blue.png").await.unwrap();
    testkit::eventually("all three to be there", || async {
        at.get(Who::App("alice"), "/").await.text().contains("blue.png").then_some(())
    })
    .await;
    gallery(&mut browser, &pics).await;
    let shown = "Promise.all([...document.querySelectorAll('.pictures img')].map((image) => image.decode().then(() => image.naturalWidth)))";
    assert_eq!(browser.eval(shown).await.unwrap(), json!([400, 400, 400]), "the policy lets them be seen");
    browser.fill("Name of a new album", "Colours").await.unwrap();
    browser.click("Add album").await.unwrap();
    browser.wait_for("This album is empty").await.unwrap();
    let album = browser.url().await.unwrap();
    gallery(&mut browser, &pics).await;
    browser.click(".pictures li:last-child a").await.unwrap();
    browser.fill("Caption", "The colour of tomatoes").await.unwrap();
    let id = album.rsplit('/').next().unwrap();
    browser.command("select", json!({"field": "Album", "value": id})).await.unwrap();
    browser.click("Save").await.unwrap();
    browser.goto(&album).await.unwrap();
    browser.wait_for("The colour of tomatoes").await.unwrap();
    browser.click("The colour of tomatoes").await.unwrap();
    browser.click("Delete this picture").await.unwrap();
    browser.wait_for("blue.png").await.unwrap();
    assert_eq!(at.files("objects").iter().filter(|name| *name == "clean").count(), 2);
    browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_said_beside_its_name() {
    testkit::part!(Chromium);
    let (_at, pics) = served().await;
    let mut browser = Browser::start().await.unwrap();
    browser.goto(&format!("{pics}/sign-in-of-this-test/alice")).await.unwrap();
    browser.goto(&format!("{pics}/")).await.unwrap();
    let drop = r#"(() => {
        const files = new DataTransfer();
        files.items.add(new File(['<svg onload="alert(1)"/>'], 'evil.svg', { type: 'image/svg+xml' }));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
    })()"#;
    browser.eval(drop).await.unwrap();
    browser.wait_for("SVG is not taken").await.unwrap();
    browser.close().await.unwrap();
}

/// Lists what can be worked with, and notes what the focus comes to.
const WATCH_FOCUS: &str = r#"(() => {
    const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, [tabindex="0"]')]
        .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled);
    window.unreached = new Set(all);
    addEventListener('focusin', ({ target }) => window.unreached.delete(target));
    return all.length;
})()"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_everybody() {
    testkit::part!(Chromium);
    let (at, pics) = served().await;
    let told = at.put("root", &jpeg(1_900, 900)).await;
    at.put("root", &png(50, 40, 1)).await;
    let id = told["id"].as_str().unwrap();
    let album = at.form(Who::App("root"), "/albums", "title=Garden").await.header("location").to_owned();
    let album_id = album.strip_prefix("/a/").unwrap();
    at.form(
        Who::App("root"),
        &format!("/p/{id}"),
        &format!("caption=Roses&alt=Three+roses&album={album_id}"),
    )
    .await
    .is(303);
    at.form(Who::Nobody, &format!("/p/{id}/report"), "reason=private&words=that+is+me").await.is(200);
    let mut browser = Browser::start().await.unwrap();
    let pictures = std::env::var_os("IRCNOW_SCREENSHOTS").map(PathBuf::from);
    let delete = told["delete_url"].as_str().unwrap().to_owned();
    let pages = [
        ("pics-gallery", format!("{pics}/")),
        ("pics-picture", format!("{pics}/p/{id}")),
        ("pics-album", format!("{pics}{album}")),
        ("pics-delete", delete),
        ("pics-report", format!("{pics}/p/{id}/report")),
        ("pics-moderate", format!("{pics}/moderate")),
        ("pics-tools", format!("{pics}/tools")),
        ("pics-missing", format!("{pics}/p/nothing")),
    ];
    let mut wrong = Vec::new();
    browser.view(1280, 860, "light").await.unwrap();
    browser.goto(&format!("{pics}/")).await.unwrap();
    wrong.extend(browser.axe().await.unwrap());
    browser.goto(&format!("{pics}/sign-in-of-this-test/root")).await.unwrap();
    for (width, theme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        browser.view(width, 860, theme).await.unwrap();
        for (name, url) in &pages {
            browser.goto(url).await.unwrap();
            let broken = browser.axe().await.unwrap();
            wrong.extend(broken.into_iter().map(|rule| format!("{name} {width} {theme}: {rule}")));
            let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await.unwrap();
            if over.as_i64().unwrap_or(1) > 0 {
                wrong.push(format!("{name} {width}: {over} px too wide"));
            }
            if let Some(folder) = &pictures {
                browser.screenshot(&folder.join(format!("{name}-{theme}-{width}.png"))).await.unwrap();
            }
        }
    }
    for (name, url) in &pages {
        browser.goto(url).await.unwrap();
        let count = browser.eval(WATCH_FOCUS).await.unwrap().as_u64().unwrap();
        for _ in 0..count + 2 {
            browser.command("press", json!({"key": "Tab"})).await.unwrap();
        }
        let missed = browser
            .eval("[...window.unreached].map((element) => element.outerHTML.slice(0, 120))")
            .await
            .unwrap();
        for element in missed.as_array().unwrap() {
            wrong.push(format!("{name}: the focus never comes to {element}"));
        }
    }
    browser.close().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
