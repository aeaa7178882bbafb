//! `reprieve hold place`, `reprieve hold release` and `reprieve hold list`

use std::fmt::Write as _;

use reprieve_application::OperatorNote;
use reprieve_application::ports::HoldRecord;
use reprieve_application::use_cases::{HeldIdentity, NewHold};
use reprieve_domain::{Address, Timestamp};
use serde::Serialize;

use crate::arguments::HoldCommand;
use crate::input::parse;
use crate::{Failure, Host, Output, printable};

/// A hold as it is shown; absent members are left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldJson<'a> {
    address: &'a Address,
    code: &'a str,
    placed_at: Timestamp,
    ends_at: Timestamp,
    silent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

/// What became of a hold, and of the deletion.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HeldJson<'a> {
    #[serde(flatten)]
    hold: HoldJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_until: Option<Timestamp>,
}

impl<'a> From<&'a HoldRecord> for HoldJson<'a> {
    fn from(record: &'a HoldRecord) -> Self {
        let HoldRecord { address, hold, note, .. } = record;
        Self {
            address,
            code: hold.code.as_str(),
            placed_at: hold.placed_at,
            ends_at: hold.ends_at,
            silent: hold.is_silent,
            note: note.as_ref().map(OperatorNote::as_str),
        }
    }
}

pub(super) async fn run(
    host: &dyn Host,
    output: &mut Output<'_>,
    command: &HoldCommand,
) -> Result<(), Failure> {
    match command {
        HoldCommand::Place { address, code, until, note, silent } => {
            let new = NewHold {
                address: parse(address)?,
                code: parse(code)?,
                ends_at: parse(until)?,
                is_silent: *silent,
                note: note.as_deref().map(parse::<OperatorNote>).transpose()?,
            };
            let held = host.holds().await?.place(&new).await?;
            let said = format!("Identity held until {} ({})\n", held.record.hold.ends_at, new.code);
            show(output, &held, said)
        }
        HoldCommand::Release { address, code, note } => {
            let (address, code) = (parse(address)?, parse(code)?);
            let note = note.as_deref().map(parse::<OperatorNote>).transpose()?;
            let held = host.holds().await?.release(&address, &code, note.as_ref()).await?;
            show(output, &held, format!("Hold released ({code})\n"))
        }
        HoldCommand::List { address } => {
            let address = address.as_deref().map(parse::<Address>).transpose()?;
            let holds = host.holds().await?.list(address.as_ref()).await?;
            let shown: Vec<HoldJson<'_>> = holds.iter().map(HoldJson::from).collect();
            output.result(&shown, &table(&shown))
        }
    }
}

fn show(output: &mut Output<'_>, held: &HeldIdentity, mut text: String) -> Result<(), Failure> {
    let suspended_until = held.suspension.map(|suspension| suspension.until);
    if let Some(until) = suspended_until {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "Deletion suspended until: {until}");
    }
    output.result(&HeldJson { hold: HoldJson::from(&held.record), suspended_until }, &text)
}

fn table(holds: &[HoldJson<'_>]) -> String {
    if holds.is_empty() {
        return "No identity is held\n".to_owned();
    }
    let mut text = String::new();
    for hold in holds {
        let HoldJson { address, code, placed_at, ends_at, silent, note } = hold;
        let silent = if *silent { "  silent" } else { "" };
        let note = note.map(|note| format!("  {}", printable::value(note))).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{address}  {code}  since {placed_at}  until {ends_at}{silent}{note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::commands::test_host::{TestHost, run_on};
    use reprieve_application::ErrorCode;
    use serde_json::{Value, json};

    const ADA: &str = "did:web:example.org:ada";
    const UNTIL: &str = "2026-12-24T12:00:00.000000Z";

    #[tokio::test]
    async fn a_hold_is_placed_and_shown() {
        let line =
            ["hold", "place", ADA, "--code", "legal", "--until", UNTIL, "--note", "a court asks", "--silent"];
        let (result, out) = run_on(&TestHost::default(), &line).await;
        assert_eq!((result, out), (Ok(()), format!("Identity held until {UNTIL} (legal)\n")));
        let (_, out) = run_on(&TestHost::default(), &[&line[..], &["--output", "json"]].concat()).await;
        let shown: Value = serde_json::from_str(&out).unwrap();
        let placed_at = &shown["placedAt"];
        let expected = json!({
            "address": ADA, "code": "legal", "placedAt": placed_at, "endsAt": UNTIL, "silent": true,
            "note": "a court asks",
        });
        assert_eq!(shown, expected);
    }

    #[tokio::test]
    async fn what_is_malformed_or_not_held_is_refused() {
        let place = ["hold", "place", ADA, "--code", "legal", "--until", "2026-12-24"];
        let over = ["hold", "place", ADA, "--code", "legal", "--until", "2020-12-24T12:00:00Z"];
        let unnamed = ["hold", "place", "ada", "--code", "legal", "--until", UNTIL];
        let coded = ["hold", "place", ADA, "--code", "two words", "--until", UNTIL];
        for line in [&place, &over, &unnamed, &coded] {
            let (result, out) = run_on(&TestHost::default(), line).await;
            assert_eq!(
                (result.unwrap_err().code, out.as_str()),
                (ErrorCode::InvalidPropertyValue, ""),
                "{line:?}"
            );
        }
        let (result, _) = run_on(&TestHost::default(), &["hold", "release", ADA, "--code", "legal"]).await;
        assert_eq!(result.unwrap_err().code, ErrorCode::RecordNotFound);
        let (result, out) = run_on(&TestHost::default(), &["hold", "list"]).await;
        assert_eq!((result, out.as_str()), (Ok(()), "No identity is held\n"));
    }
}
