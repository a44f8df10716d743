//! Commands about what is held for review and about reports.

use serde::Deserialize;

/// What a client asks for in this matter.
#[derive(Debug, Clone)]
pub enum CareCommand {
    /// `list_held`
    ListHeld(ReviewList),
    /// `release_held`
    ReleaseHeld(HeldPlace),
    /// `discard_held`
    DiscardHeld(HeldPlace),
    /// `report_message`
    ReportMessage(ReportMessage),
    /// `list_reports`
    ListReports(ReviewList),
    /// `resolve_report`
    ResolveReport(ReportPlace),
}

/// The fields of `list_held` and `list_reports`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewList {
    /// The room's id.
    pub room_id: String,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The fields of `release_held` and `discard_held`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldPlace {
    /// The room's id.
    pub room_id: String,
    /// Which held message.
    pub held_id: String,
}

/// The fields of `report_message`. Its `Debug` form hides the words.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportMessage {
    /// The room's id.
    pub room_id: String,
    /// Which message.
    pub message_id: String,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl std::fmt::Debug for ReportMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportMessage").field("room_id", &self.room_id).finish_non_exhaustive()
    }
}

/// The fields of `resolve_report`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportPlace {
    /// The room's id.
    pub room_id: String,
    /// Which report.
    pub report_id: String,
}

/// Whether a `type` is one of these commands.
pub(super) fn knows(kind: &str) -> bool {
    matches!(
        kind,
        "list_held" | "release_held" | "discard_held" | "report_message" | "list_reports" | "resolve_report"
    )
}

/// Reads a command of a `type` that is known here.
pub(super) fn read(kind: &str, json: &[u8]) -> serde_json::Result<CareCommand> {
    match kind {
        "list_held" => serde_json::from_slice(json).map(CareCommand::ListHeld),
        "release_held" => serde_json::from_slice(json).map(CareCommand::ReleaseHeld),
        "discard_held" => serde_json::from_slice(json).map(CareCommand::DiscardHeld),
        "report_message" => serde_json::from_slice(json).map(CareCommand::ReportMessage),
        "list_reports" => serde_json::from_slice(json).map(CareCommand::ListReports),
        _ => serde_json::from_slice(json).map(CareCommand::ResolveReport),
    }
}
