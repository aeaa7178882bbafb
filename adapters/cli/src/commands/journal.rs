//! `reprieve journal status` and `reprieve journal adopt`

use std::fmt::Write as _;

use reprieve_application::ports::Adoption;
use reprieve_application::use_cases::{AdoptedJournal, JournalStatus};
use serde_json::{Value, json};

use crate::{Failure, Host, Output, printable};

pub(super) async fn status(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let status = host.show_journal().await?.execute().await?;
    output.result(&to_json(&status), &to_text(&status))?;
    // What was shown is not as it should be.
    status.problem.map_or(Ok(()), Err)
}

pub(super) async fn adopt(host: &dyn Host, output: &mut Output<'_>) -> Result<(), Failure> {
    let AdoptedJournal { place, id, known, is_new } = host.adopt_journal().await?.execute().await?;
    let what = if known.as_ref() == Some(&id) {
        "The database knows this journal already"
    } else if is_new {
        "A new journal was begun and adopted"
    } else {
        "Adopted"
    };
    output.result(
        &json!({"journal": place, "id": id, "knownBefore": known, "begun": is_new}),
        &format!("{what}: {}\n", printable::value(&place)),
    )
}

fn to_json(status: &JournalStatus) -> Value {
    let JournalStatus { place, known, problem, figures, older, behind, is_to_be_refilled, adoptions } =
        status;
    let adoptions: Vec<Value> = adoptions
        .iter()
        .map(|Adoption { known, adopted, adopted_at }| {
            json!({"knownBefore": known, "adopted": adopted, "adoptedAt": adopted_at})
        })
        .collect();
    json!({
        "journal": place,
        "id": known,
        "problem": problem.as_ref().map(|problem| json!({"code": problem.code.as_str(), "message": problem.message})),
        "entries": figures.map(|figures| figures.entries),
        "processes": figures.map(|figures| figures.processes),
        "behind": behind,
        "toBeRefilled": is_to_be_refilled,
        "older": older,
        "adoptions": adoptions,
    })
}

fn to_text(status: &JournalStatus) -> String {
    let JournalStatus { place, known, problem, figures, older, behind, is_to_be_refilled, adoptions } =
        status;
    let mut text = format!("Journal: {}\n", printable::value(place));
    // Writing to a String cannot fail.
    let _ = match (problem, known, figures) {
        (Some(_), _, _) => writeln!(text, "It cannot be used: nothing irreversible is done"),
        (None, None, _) => writeln!(text, "It is begun with the next step or pass"),
        (None, Some(_), None) => Ok(()),
        (None, Some(_), Some(figures)) => {
            writeln!(text, "Entries: {}; processes: {}", figures.entries, figures.processes)
        }
    };
    let rest = if *is_to_be_refilled { "; everything is still to be compared" } else { "" };
    let _ = writeln!(text, "Processes that it is behind with: {behind}{rest}");
    let _ = writeln!(text, "Processes that the database lacks something of: {}", older.len());
    for process in older {
        let _ = writeln!(text, "{process}: put back to an earlier state, or gone");
    }
    for Adoption { adopted, adopted_at, .. } in adoptions {
        let _ = writeln!(text, "Adopted at {adopted_at}: {}", printable::value(adopted));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reprieve_application::ErrorCode;
    use reprieve_application::ports::JournalFigures;

    fn status() -> JournalStatus {
        JournalStatus {
            place: "sqlite:/state/journal".to_owned(),
            known: Some("1a".to_owned()),
            problem: None,
            figures: Some(JournalFigures { entries: 5, processes: 2, newest: 9 }),
            older: vec!["IDP0123456789abcdefg".parse().unwrap()],
            behind: 3,
            is_to_be_refilled: true,
            adoptions: vec![Adoption {
                known: None,
                adopted: "1a".to_owned(),
                adopted_at: "2026-11-29T12:00:00Z".parse().unwrap(),
            }],
        }
    }

    #[test]
    fn what_is_known_of_the_journal_is_shown() {
        assert_eq!(
            to_text(&status()),
            "Journal: sqlite:/state/journal\nEntries: 5; processes: 2\n\
             Processes that it is behind with: 3; everything is still to be compared\n\
             Processes that the database lacks something of: 1\n\
             IDP0123456789abcdefg: put back to an earlier state, or gone\n\
             Adopted at 2026-11-29T12:00:00.000000Z: 1a\n"
        );
        let json = to_json(&status());
        assert_eq!((&json["older"][0], &json["entries"]), (&json!("IDP0123456789abcdefg"), &json!(5)));
    }

    #[test]
    fn a_journal_that_cannot_be_used_says_what_follows_from_it() {
        let problem = Some(Failure::new(ErrorCode::JournalMissing, "it is missing"));
        let status = JournalStatus { problem, figures: None, ..status() };
        assert!(to_text(&status).contains("nothing irreversible is done"));
        assert_eq!(to_json(&status)["problem"]["code"], "error.reprieve.journal.missing");
        let new = JournalStatus { known: None, problem: None, figures: None, ..status };
        assert!(to_text(&new).contains("begun with the next step"));
    }
}
