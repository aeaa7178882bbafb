//! The codes of failures that more than one sink has, or that are not the domain's.

use reprieve_domain::FailureCode;

fn code(text: &str) -> FailureCode {
    text.parse().unwrap_or_else(|_| FailureCode::unexpected_answer())
}

/// There was a connection, and it broke off before the answer came.
pub(crate) fn connection_lost() -> FailureCode {
    code("connectionLost")
}

/// The message reached no queue.
pub(crate) fn unroutable() -> FailureCode {
    code("unroutable")
}

/// The broker says that it does not have the message.
pub(crate) fn nacked() -> FailureCode {
    code("nacked")
}

/// A text of the message is longer than can be sent, or the message as a whole.
pub(crate) fn too_long() -> FailureCode {
    code("tooLong")
}

/// The broker closed the connection with this code of AMQP.
pub(crate) fn amqp(reply_code: u16) -> FailureCode {
    code(&format!("amqp{reply_code}"))
}

/// No stream takes the subject.
pub(crate) fn no_stream() -> FailureCode {
    code("noStream")
}

/// The server of NATS answered with this code of an error.
pub(crate) fn nats(error_code: u64) -> FailureCode {
    code(&format!("nats{error_code}"))
}

/// It is not us whom the server lets in.
pub(crate) fn access_refused() -> FailureCode {
    code("accessRefused")
}
