//! Who delivers the server's mail: a relay that speaks SMTP, or the log.

use std::sync::Arc;

use chat_core::accounts::{LogMailer, Mailer};

use crate::config::{Config, Smtp};

/// Whoever the configuration names.
///
/// # Errors
/// A line for the operator, when nobody can deliver mail as it is configured.
pub(crate) fn mailer(config: &Config) -> Result<Arc<dyn Mailer>, String> {
    match &config.smtp {
        Some(smtp) => relay(smtp),
        None => {
            tracing::warn!("no mail is set up: links for forgotten passwords are written to this log");
            Ok(Arc::new(LogMailer))
        }
    }
}

/// Where links of mails lead to.
pub(crate) fn reset_url(config: &Config) -> String {
    let here = || format!("http://{}", config.listen);
    format!("{}/reset", config.public_url.clone().unwrap_or_else(here))
}

#[cfg(not(feature = "smtp"))]
fn relay(_: &Smtp) -> Result<Arc<dyn Mailer>, String> {
    Err("this server was built without the feature `smtp`; leave `mail` out".into())
}

#[cfg(feature = "smtp")]
fn relay(smtp: &Smtp) -> Result<Arc<dyn Mailer>, String> {
    Ok(Arc::new(smtp::Relay::new(smtp)?))
}

#[cfg(feature = "smtp")]
mod smtp {
    use std::time::Duration;

    use async_trait::async_trait;
    use chat_core::accounts::{Mail, MailError, Mailer};
    use lettre::{
        AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
        message::{Mailbox, header::ContentType},
        transport::smtp::authentication::Credentials,
    };

    use crate::config::{Smtp, SmtpTls};

    /// How long the relay may take for one answer.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

    /// A relay that speaks SMTP (RFC 5321).
    pub(super) struct Relay {
        transport: AsyncSmtpTransport<Tokio1Executor>,
        from: Mailbox,
    }

    impl Relay {
        pub(super) fn new(smtp: &Smtp) -> Result<Self, String> {
            type Transport = AsyncSmtpTransport<Tokio1Executor>;
            let from = smtp
                .from
                .parse()
                .map_err(|_| "`mail.from`: expected an address, like Chat <chat@example.org>")?;
            let builder = match smtp.tls {
                SmtpTls::StartTls => Transport::starttls_relay(&smtp.host),
                SmtpTls::Implicit => Transport::relay(&smtp.host),
                SmtpTls::None => Ok(Transport::builder_dangerous(&smtp.host)),
            };
            let mut builder = builder
                .map_err(|error| format!("mail can't be sent through `mail.smtp_host`: {error}"))?
                .port(smtp.port)
                .timeout(Some(ANSWER_TIMEOUT));
            if let Some((user, password)) = &smtp.login {
                builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
            }
            Ok(Self { transport: builder.build(), from })
        }
    }

    #[async_trait]
    impl Mailer for Relay {
        async fn send(&self, mail: Mail) -> Result<(), MailError> {
            // What went wrong with an address would name it.
            let to = mail.to.as_str().parse::<lettre::Address>();
            let to = to.map_err(|_| MailError("the address can't be written in a mail".into()))?;
            let message = Message::builder()
                .from(self.from.clone())
                .to(Mailbox::new(None, to))
                .subject(mail.subject)
                .header(ContentType::TEXT_PLAIN)
                .body(mail.text)
                .map_err(|_| MailError("the mail can't be written".into()))?;
            match self.transport.send(message).await {
                Ok(_) => Ok(()),
                // The words of the relay may name the address; its code does not.
                Err(error) => Err(MailError(match error.status() {
                    Some(code) => format!("the relay refused it with {code}"),
                    None if error.is_timeout() => "the relay did not answer in time".into(),
                    None if error.is_tls() => "the connection to the relay could not be encrypted".into(),
                    None => "the relay could not be reached".into(),
                })),
            }
        }
    }
}
