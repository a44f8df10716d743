//! What messages say of files that were uploaded here.

use async_trait::async_trait;
use chat_core::{
    domain::{Attachment, Rejection},
    engine::Error,
    files::{FileId, FileRecord, FileReference, FileResolver, Purpose},
    id::UserId,
    limits::FILE_POSTINGS_MAX,
};

use crate::{Files, service::SERVED_AT};

#[async_trait]
impl FileResolver for Files {
    async fn resolve(&self, user: &UserId, files: Vec<FileReference>) -> Result<Vec<Attachment>, Error> {
        let mut attachments = Vec::with_capacity(files.len());
        for file in files {
            attachments.push(self.resolved(user, file).await?);
        }
        Ok(attachments)
    }
}

impl Files {
    async fn resolved(&self, user: &UserId, file: FileReference) -> Result<Attachment, Error> {
        let id = FileId::parse(&file.file_id);
        let record = match id {
            Some(id) => self.record(id).await?,
            None => None,
        };
        match record {
            Some(record) if record.owner == *user && record.purpose == Purpose::Attachment => {
                if self.store().postings(record.id).await?.len() >= FILE_POSTINGS_MAX {
                    return Err(Rejection::Conflict("the file is posted too often, upload it again").into());
                }
                Ok(self.attachment(record))
            }
            Some(_) => Err(Rejection::NO_FILE.into()),
            // What says that it lies here, or is called like it and does not say where, would have a record.
            None if file.url.as_deref().map_or(id.is_some(), |url| url.starts_with(SERVED_AT)) => {
                Err(Rejection::NO_FILE.into())
            }
            None => Ok(file.as_written().ok_or(Rejection::BadRequest(INCOMPLETE))?),
        }
    }

    /// A file as messages refer to it.
    #[must_use]
    pub fn attachment(&self, file: FileRecord) -> Attachment {
        Attachment {
            url: self.url_of(&file),
            file_id: file.id.to_string(),
            name: file.name,
            mime: file.mime,
            size: file.size,
            width: file.width,
            height: file.height,
        }
    }
}

const INCOMPLETE: &str = "an attachment that lies elsewhere has a fileId, name, mime, size and url";
