//! Mail to people, as far as accounts need it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{AccountError, Email};
use crate::limits::{MAIL_TIMEOUT_MS, MAILS_AT_ONCE, MAILS_WAITING_MAX};

/// A mail. Its `Debug` form hides all of it: what it says lets somebody in.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom it goes.
    pub to: Email,
    /// What it is about, on one line.
    pub subject: String,
    /// What it says, in lines of plain text.
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail")
    }
}

/// Why a mail was not handed over, in words for the log. They name neither address nor content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MailError(pub String);

/// Hands mail over to whatever delivers it.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands over one mail. It is given up after a minute ([`MAIL_TIMEOUT_MS`]).
    ///
    /// # Errors
    /// [`MailError`] when nobody took it. It is not tried again: whoever waits for it asks once more.
    async fn send(&self, mail: Mail) -> Result<(), MailError>;
}

/// Writes mail to the log instead of sending it: for development alone, since whoever reads the log can take over
/// the accounts of whoever asked for such a mail.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        tracing::warn!(subject = %mail.subject, text = %mail.text, "no mail is set up; this is what would be sent");
        Ok(())
    }
}

/// Who delivers mail, and where it leads to.
pub(super) struct Mailing {
    mailer: Arc<dyn Mailer>,
    reset_url: String,
    /// Being made out and sent together.
    places: Arc<Semaphore>,
    sending: Semaphore,
}

/// A place in the queue of mails.
pub(super) type Place = tokio::sync::OwnedSemaphorePermit;

impl Mailing {
    pub(super) fn new(mailer: Arc<dyn Mailer>, reset_url: &str) -> Self {
        Self {
            mailer,
            reset_url: reset_url.to_owned(),
            places: Arc::new(Semaphore::new(MAILS_WAITING_MAX)),
            sending: Semaphore::new(MAILS_AT_ONCE),
        }
    }

    pub(super) fn place(&self) -> Result<Place, AccountError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| AccountError::Overloaded)
    }

    /// Sends somebody the way to another password. That it can't be sent is for the log alone.
    pub(super) async fn send_reset(&self, to: Email, name: &str, token: &str) {
        // The one character of ids that has to be written otherwise in a fragment (RFC 3986, 3.5).
        let token = token.replace('|', "%7C");
        let text = format!(
            "Hello {name},\n\nsomebody, probably you, asked for a new password. To choose one, open\n\n\
             {}#token={token}\n\nwithin 30 minutes. If it was not you, do nothing: your password stays as it is.\n",
            self.reset_url,
        );
        let mail = Mail { to, subject: "A new password".to_owned(), text };
        let Ok(_turn) = self.sending.acquire().await else { return };
        match tokio::time::timeout(Duration::from_millis(MAIL_TIMEOUT_MS), self.mailer.send(mail)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a mail could not be sent"),
            Err(_) => tracing::warn!("a mail could not be sent in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_never_shows_in_debug_output() {
        let to = Email::parse("ann@example.org").unwrap();
        let mail = Mail { to, subject: "A new password".into(), text: "secret".into() };
        assert_eq!(format!("{mail:?}"), "Mail");
    }
}
