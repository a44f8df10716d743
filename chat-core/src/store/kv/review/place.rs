//! Where held messages and reports stand.

use crate::{
    id::{ClientMessageId, HeldId, ReportId, Seq, UserId},
    store::kv::keys::{self, Id16, table},
};

/// The second byte of keys of the tables `62` and `63`.
pub(super) mod part {
    pub(in super::super) const ROW: u8 = 0;
    pub(in super::super) const COUNT: u8 = 1;
    /// By reporter in `62`, by author and client's key in `63`.
    pub(in super::super) const REPEAT: u8 = 2;
    pub(in super::super) const BY_AUTHOR: u8 = 3;
    pub(in super::super) const TEXT: u8 = 4;
    pub(in super::super) const FILE: u8 = 5;
}

/// The byte before the report in keys of `62 00`.
pub(super) const OPEN: u8 = 0;
pub(super) const RESOLVED: u8 = 1;

pub(super) fn held_row(room16: &Id16, id: &HeldId) -> Vec<u8> {
    held_row16(room16, &keys::id16(id.as_str()))
}

pub(in super::super) fn held_row16(room16: &Id16, id16: &Id16) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::ROW], room16, id16])
}

pub(super) fn held_by_key(author16: &Id16, room16: &Id16, client: &ClientMessageId) -> Vec<u8> {
    let hash = blake3::hash(client.as_str().as_bytes());
    keys::key(table::HELD, &[&[part::REPEAT], author16, room16, &hash.as_bytes()[..16]])
}

pub(super) fn held_by_author(author16: &Id16, room16: &Id16, id: &HeldId) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::BY_AUTHOR], author16, room16, &keys::id16(id.as_str())])
}

pub(super) fn report_row(room16: &Id16, state: u8, id: &ReportId) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::ROW], room16, &[state], &keys::id16(id.as_str())])
}

pub(super) fn report_by_reporter(reporter16: &Id16, room16: &Id16, seq: Seq) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::REPEAT], reporter16, room16, &seq.get().to_be_bytes()])
}

pub(super) fn report_by_author(author16: &Id16, room16: &Id16, id: &ReportId) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::BY_AUTHOR], author16, room16, &keys::id16(id.as_str())])
}

/// A file that a held message refers to, or that a reported one referred to.
pub(super) fn file_key(table: u8, room16: &Id16, id: &str, number: u8) -> Vec<u8> {
    keys::key(table, &[&[part::FILE], room16, &keys::id16(id), &[number]])
}

/// Where the files of held messages begin.
pub(in super::super) fn files_of_held() -> Vec<u8> {
    keys::key(table::HELD, &[&[part::FILE]])
}

pub(super) fn count_key(table: u8, room16: &Id16) -> Vec<u8> {
    keys::key(table, &[&[part::COUNT], room16])
}

pub(super) fn text_prefix(table: u8, room16: &Id16, id16: &Id16) -> Vec<u8> {
    keys::key(table, &[&[part::TEXT], room16, id16])
}

/// Where the held messages of an author are listed.
pub(in super::super) fn held_of_author(author: &UserId) -> Vec<u8> {
    held_of_author16(&keys::user16(author))
}

pub(in super::super) fn held_of_author16(author16: &Id16) -> Vec<u8> {
    keys::key(table::HELD, &[&[part::BY_AUTHOR], author16])
}

/// Where the reports of a reporter are listed.
pub(in super::super) fn reports_of_reporter(reporter: &UserId) -> Vec<u8> {
    reports_of_reporter16(&keys::user16(reporter))
}

pub(in super::super) fn reports_of_reporter16(reporter16: &Id16) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::REPEAT], reporter16])
}

/// Where the lists of all reporters stand.
pub(in super::super) fn reports_by_reporters() -> [u8; 2] {
    [table::REPORT, part::REPEAT]
}

/// Where the reports of an author's messages are listed.
pub(in super::super) fn reports_of_author16(author16: &Id16) -> Vec<u8> {
    keys::key(table::REPORT, &[&[part::BY_AUTHOR], author16])
}
