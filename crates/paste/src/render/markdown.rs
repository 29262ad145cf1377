//! Markdown as HTML that cannot hurt: what its author wrote as HTML is shown as text, addresses are checked, pictures are
//! links (nobody's server learns who reads a paste).

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::html::escape_into;

/// The kinds of address a link may lead to.
const SCHEMES: [&str; 6] = ["https:", "http:", "mailto:", "irc:", "ircs:", "gemini:"];

/// The document as HTML.
pub fn render(text: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, Parser::new_ext(text, options).flat_map(harmless));
    out
}

/// What stands for an event. Of HTML only what is written here comes through.
fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    Some(match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Link { dest_url, .. }) => Event::InlineHtml(opened(&dest_url)),
        Event::Start(Tag::Image { dest_url, .. }) => Event::InlineHtml(opened(&dest_url)),
        Event::End(TagEnd::Link | TagEnd::Image) => Event::InlineHtml("</a>".into()),
        // Names of headings and alignments would be attributes.
        Event::Start(Tag::Heading { level, .. }) => {
            Event::Start(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() })
        }
        Event::Start(Tag::Table(columns)) => {
            Event::Start(Tag::Table(vec![pulldown_cmark::Alignment::None; columns.len()]))
        }
        Event::Start(Tag::CodeBlock(_)) => {
            Event::Start(Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Indented))
        }
        Event::TaskListMarker(done) => Event::Text(if done { "\u{2611} " } else { "\u{2610} " }.into()),
        Event::FootnoteReference(_) => return None,
        other => other,
    })
}

/// The beginning of a link, without an address where it is of no kind we know.
fn opened<'a>(address: &str) -> CowStr<'a> {
    if !is_safe(address) {
        return "<a>".into();
    }
    let mut out = String::from("<a rel=\"nofollow noopener noreferrer ugc\" href=\"");
    escape_into(&mut out, address);
    out.push_str("\">");
    out.into()
}

/// Whether an address is one of the known kinds, whatever a browser leaves out while it reads it.
fn is_safe(address: &str) -> bool {
    let read: String = address.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let read = read.to_ascii_lowercase();
    read == address.to_ascii_lowercase() && SCHEMES.iter().any(|scheme| read.starts_with(scheme))
}

/// Panics where HTML holds anything but what [`render`] may write: for tests and fuzzers.
#[doc(hidden)]
pub fn check(html: &str) {
    const TAGS: [&str; 29] = [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "em",
        "strong",
        "del",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "a",
        "br",
        "hr",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "sub",
        "sup",
        "dl",
        "dt",
    ];
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let after = &rest[at + 1..];
        let (tag, tail) = after.split_once('>').unwrap_or(("?", ""));
        let bare = tag.trim_start_matches('/').trim_end_matches(['/', ' ']);
        let (name, attributes) = bare.split_once(' ').unwrap_or((bare, ""));
        assert!(TAGS.contains(&name), "a tag {tag:?} in {html}");
        match (name, attributes) {
            (_, "") => {}
            ("a", attributes) => {
                let href = attributes.strip_prefix("rel=\"nofollow noopener noreferrer ugc\" href=\"");
                let href = href.and_then(|href| href.strip_suffix('"')).unwrap_or("?");
                let plain = href.replace("&amp;", "&").replace("&#39;", "'").replace("&quot;", "\"");
                assert!(!href.contains(['"', '<', '>', '\'']), "a link {tag:?}");
                assert!(is_safe(&plain.replace("&lt;", "<").replace("&gt;", ">")), "a link {tag:?}");
            }
            ("ol", attributes) => {
                let start = attributes.strip_prefix("start=\"").and_then(|start| start.strip_suffix('"'));
                let digits = start.is_some_and(|start| start.bytes().all(|byte| byte.is_ascii_digit()));
                assert!(digits, "an attribute {tag:?}");
            }
            ("blockquote", attributes) => {
                let class = attributes.strip_prefix("class=\"markdown-alert-");
                assert!(class.is_some_and(|class| !class.contains(['<', ' '])), "an attribute {tag:?}");
            }
            _ => unreachable!("an attribute {tag:?} in {html}"),
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markdown_becomes_what_it_means() {
        let html = render(
            "# A\n\n*b* **c** `d`\n\n- [x] e\n\n| f | g |\n|--:|---|\n| 1 | 2 |\n\n```rust\n<x>\n```\n",
        );
        for part in [
            "<h1>A</h1>",
            "<em>b</em>",
            "<strong>c</strong>",
            "<code>d</code>",
            "\u{2611} e",
            "<th>f</th>",
            "&lt;x&gt;",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        check(&html);
    }

    #[test]
    fn no_html_script_or_address_of_its_author_comes_through() {
        for bad in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<div\nonclick='x'>y</div>",
            "[a](javascript:alert(1))",
            "[a](JaVaScRiPt:alert(1))",
            "[a](java\tscript:alert(1))",
            "[a](&#106;avascript:alert(1))",
            "[a](data:text/html,x)",
            "[a](vbscript:x)",
            "[a](//evil.example)",
            "<javascript:alert(1)>",
            "![a](javascript:alert(1))",
            "[a](https://x/\"onmouseover=alert(1))",
            "[a]: javascript:x\n\n[a]",
            "# a {#id onclick=x}",
            "```\"><script>\nx\n```",
            "<style>@import 'x'</style>",
            "[^1]\n\n[^1]: <b>",
        ] {
            let html = render(bad);
            check(&html);
            assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<div"), "{html}");
        }
        let link = render("[a](https://example.org/?a=b&c)");
        assert!(link.contains("href=\"https://example.org/?a=b&amp;c\""), "{link}");
        let picture = render("![cat](https://example.org/cat.png)");
        assert!(picture.contains(">cat</a>") && !picture.contains("<img"), "{picture}");
    }

    proptest! {
        #[test]
        fn whatever_is_written_only_harmless_html_comes_out(
            text in "([\\[\\]()<>!#*_`~|\\-\n\t \"'&;:/a-z]|javascript:|<script>|https://|&#|\\PC){0,80}"
        ) {
            check(&render(&text));
        }
    }
}
