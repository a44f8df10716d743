//! One cell of the table, tried by both doors.

use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{
    house::House,
    scene::Scene,
    support::{
        http::Answer,
        line::{Ask, Line},
        openapi::query,
        ws::Ws,
    },
    table::{Principal, Row, sign},
};

/// What came of a cell.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) wrong: Vec<String>,
    pub(crate) answers: usize,
    /// How many answers were compared with those for a room that does not exist.
    pub(crate) compared: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Http,
    WebSocket,
}

/// What was answered: its code, or `ok`, and all of it.
type Told = (String, Value);

pub(crate) fn try_cell(
    house: &House,
    line: &mut Line,
    runtime: &Runtime,
    row: &Row,
    principal: Principal,
    private: bool,
) -> Outcome {
    let mut outcome = Outcome::default();
    let expected = row.expected(principal, private);
    let operation = row.operation.as_ref().map(|name| &house.operations[name]);
    let changes = expected == "ok" && operation.is_none_or(|operation| operation.method != "get");
    let doors = [operation.map(|_| Door::Http), row.command.as_ref().map(|_| Door::WebSocket)];
    let doors: Vec<_> = doors.into_iter().flatten().collect();
    // What changes nothing may be asked by the one door and then by the other.
    let goes = if changes { doors.chunks(1) } else { doors.chunks(2) };
    for doors in goes {
        let mut scene = Scene::set(house, line, row, principal, private);
        let fields = scene.fields(row);
        scene.go();
        for door in doors {
            let mut ask = |fields: &Map<String, Value>| match door {
                Door::Http => by_http(house, &mut scene, row, fields.clone()),
                Door::WebSocket => runtime.block_on(by_websocket(house, &mut scene, row, fields)),
            };
            let (code, told) = ask(&fields);
            outcome.answers += 1;
            if code != expected {
                outcome.wrong.push(format!("{} instead of {} by {door:?}", sign(&code), sign(expected)));
            }
            let nowhere = Scene::nowhere(row, &fields);
            let is_outside = principal.is_nobody() || principal.is_outside();
            if private && is_outside && nowhere != fields && row.tells_nothing(principal) {
                outcome.compared += 1;
                let (_, elsewhere) = ask(&nowhere);
                let [here, there] = [(told, &fields), (elsewhere, &nowhere)].map(bare);
                if here != there {
                    outcome
                        .wrong
                        .push(format!("tells more than a room that is not there: {here} and {there}"));
                }
            }
        }
    }
    outcome
}

fn by_http(house: &House, scene: &mut Scene<'_>, row: &Row, mut fields: Map<String, Value>) -> Told {
    let operation = &house.operations[row.operation.as_ref().unwrap()];
    let mut path = operation.path(&mut fields);
    if operation.body.is_none() && !fields.is_empty() {
        path = format!("{path}?{}", query(&fields));
    }
    let key = scene.key();
    let ask = Ask::new(&operation.method, &path, key.as_deref());
    let ask = match row.case.ends_with("as a stream") {
        true => ask.header("Accept", "text/event-stream"),
        false => ask,
    };
    let ask = match operation.body.as_deref() {
        None => ask,
        Some("application/json") => ask.json(&Value::Object(fields)),
        Some(_) => ask.file(),
    };
    let Answer { status, headers, body, .. } = scene.line().ask(&ask);
    let told: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let code = match (status, told["code"].as_str()) {
        (200..300, _) => "ok".to_owned(),
        (_, Some(code)) if status_of(code) == Some(status) => code.to_owned(),
        (_, code) => format!("{status} {code:?}"),
    };
    // When it was answered is different each time.
    let headers: Vec<_> = headers.into_iter().filter(|(name, _)| name != "date").collect();
    (code, json!([status, headers, body]))
}

/// The status that HTTP_API.md gives a code.
fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "bad_request" => 400,
        "unauthenticated" | "invalid_token" | "token_expired" => 401,
        "forbidden" => 403,
        "not_found" => 404,
        "conflict" => 409,
        _ => return None,
    })
}

async fn by_websocket(house: &House, scene: &mut Scene<'_>, row: &Row, fields: &Map<String, Value>) -> Told {
    let mut ws = Ws::open(house.server.address, &[]).await.unwrap();
    if let Some(token) = scene.key() {
        let answer = ws.ask(json!({ "type": "authenticate", "id": 0, "token": token })).await;
        if answer["type"] != "authenticated" {
            return told(answer);
        }
    }
    let mut frame = Value::Object(fields.clone());
    frame["type"] = row.command.clone().into();
    frame["id"] = 1.into();
    ws.send(&frame).await;
    // Not every command has an answer, but the next one has; and who has not said who they are is cut off.
    ws.send(&json!({ "type": "ping", "id": 2 })).await;
    loop {
        let answer = ws.receive().await;
        if answer["id"] == 1 || answer["id"] == 2 || answer["type"] == "auth_error" {
            return told(answer);
        }
    }
}

fn told(mut answer: Value) -> Told {
    let code = match answer["type"].as_str() {
        Some("error" | "auth_error") => answer["code"].as_str().unwrap_or("none").to_owned(),
        _ => "ok".to_owned(),
    };
    answer.as_object_mut().unwrap().remove("id");
    (code, answer)
}

/// An answer without what was said in the question.
fn bare((told, fields): (Value, &Map<String, Value>)) -> String {
    let mut text = told.to_string();
    for field in ["roomId", "inviteId", "fileId"] {
        if let Some(id) = fields.get(field).and_then(Value::as_str) {
            text = text.replace(id, field);
        }
    }
    text
}
