//! The API as a page: every operation and every schema, in the order of the table.

use std::fmt::Write;

use serde_json::Value;

use super::{
    super::route::{Access, Content, Param, Route},
    tag,
};

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>HTTP API</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="/api/docs/style.css"></head><body><h1>HTTP API</h1>
<p>Below <code>/api</code>. <a href="/api/openapi.json">The same as OpenAPI 3.1</a>, <a href="/docs/protocol">the protocol</a>.
Refusals are <code>application/problem+json</code> with a <code>code</code>.</p>
"#;

/// The whole page.
pub(super) fn page(routes: &[&[Route]], schemas: &Value) -> String {
    let mut page = HEAD.to_owned();
    let rows: Vec<&Route> = routes.iter().flat_map(|rows| rows.iter()).collect();
    let mut tags: Vec<&str> = Vec::new();
    rows.iter().map(|route| tag(route)).for_each(|tag| {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    });
    page += "<nav>";
    tags.iter().for_each(|tag| add(&mut page, format_args!("<a href=\"#{tag}\">{tag}</a>")));
    page += "<a href=\"#schemas\">schemas</a></nav>\n";
    for tag_of in tags {
        add(&mut page, format_args!("<h2 id=\"{tag_of}\">{tag_of}</h2>\n"));
        rows.iter().filter(|route| tag(route) == tag_of).for_each(|route| operation(&mut page, route));
    }
    page += "<h2 id=\"schemas\">schemas</h2>\n";
    for (name, schema) in schemas.as_object().into_iter().flatten() {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        add(
            &mut page,
            format_args!(
                "<details id=\"{name}\"><summary>{name}</summary><pre>{}</pre></details>\n",
                escaped(&text)
            ),
        );
    }
    page + "</body></html>\n"
}

fn operation(page: &mut String, route: &Route) {
    let verb = route.verb.as_str();
    add(
        page,
        format_args!(
            "<article id=\"{}\"><p><code><span class=\"verb\">{verb}</span> /api{}</code> — {}.</p><dl>",
            route.name,
            route.path,
            escaped(route.summary),
        ),
    );
    let access = match route.access {
        Access::Open => "open",
        Access::User => "access token",
        Access::Admin => "access token of a server admin",
    };
    add(page, format_args!("<dt>takes</dt><dd>{access}</dd>"));
    for Param { name, about, required, .. } in route.query {
        let needed = if *required { " (required)" } else { "" };
        add(page, format_args!("<dt><code>?{name}=</code>{needed}</dt><dd>{}</dd>", escaped(about)));
    }
    if let Some(body) = route.body {
        add(page, format_args!("<dt>body</dt><dd>{}</dd>", link(body.schema)));
    }
    for (status, content) in route.answers {
        let what = match content {
            Content::Nothing => String::new(),
            Content::Json(schema) => link(schema),
            Content::Events(schema) => format!("{} or <code>text/event-stream</code>", link(schema)),
            Content::Stream => "<code>text/event-stream</code>".to_owned(),
            Content::Bytes(media_type) => format!("<code>{media_type}</code>"),
        };
        add(page, format_args!("<dt>{status}</dt><dd>{what}</dd>"));
    }
    *page += "</dl></article>\n";
}

fn link(schema: &str) -> String {
    format!("<a href=\"#{schema}\">{schema}</a>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn add(page: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string never fails.
    let _ = page.write_fmt(what);
}
