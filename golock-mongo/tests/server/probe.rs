//! What the store rests on, asked of the server before any case is: a server that stands in for MongoDB may know less
//! than it says.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use golock_conformance::BoxError;
use golock_mongo::mongodb::bson::{Bson, DateTime, Document, doc};
use golock_mongo::mongodb::error::ErrorKind;
use golock_mongo::mongodb::{Collection, Database};

pub(crate) async fn all(database: &Database, rows: &Collection<Document>) -> Result<(), BoxError> {
    the_clock_is_compared_both_ways(database, rows).await?;
    the_clock_is_told(database, rows).await?;
    a_second_insert_is_refused(rows).await?;
    one_of_many_wins(database, rows).await?;
    each_is_told_what_was_before(database, rows).await?;
    no_change_is_no_write(database, rows).await?;
    a_condition_holds_when_the_row_is_changed(database, rows).await?;
    changes_of_many_are_counted_and_none_is_lost(database, rows).await?;
    what_a_row_would_be_is_looked_into(database, rows).await
}

/// A stored date in the past is over, one in the future is not, and so is the present a millisecond from now.
async fn the_clock_is_compared_both_ways(
    database: &Database,
    rows: &Collection<Document>,
) -> Result<(), BoxError> {
    let shifted =
        |millis: i64| doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": millis } };
    let set = doc! { "past": shifted(-1), "present": "$$NOW", "soon": shifted(1), "later": shifted(60_000) };
    change(database, rows, "clock", doc! { "$set": set }, true).await?;
    let alive = |field: &str| doc! { "$gt": [field, "$$NOW"] };
    let compared = doc! { "past": alive("$past"), "present": alive("$present"), "later": alive("$later"), "never": alive("$never") };
    let row = change(database, rows, "clock", doc! { "$set": compared }, true).await?;
    for (field, expected) in [("past", false), ("present", false), ("later", true), ("never", false)] {
        if row.get_bool(field)? != expected {
            return Err(format!("a date compares wrongly with $$NOW: {field} in {row}").into());
        }
    }
    // Sooner or later.
    for _ in 0..1_000 {
        let soon = doc! { "$set": { "over": { "$lte": ["$soon", "$$NOW"] } } };
        if change(database, rows, "clock", soon, true).await?.get_bool("over")? {
            return Ok(());
        }
    }
    Err("a millisecond never passes".into())
}

async fn the_clock_is_told(database: &Database, rows: &Collection<Document>) -> Result<(), BoxError> {
    let before = local_time(database).await?;
    let now = *change(database, rows, "clock", doc! { "$set": {} }, true).await?.get_datetime("now")?;
    let found = rows.find_one(doc! { "_id": "clock" }).projection(doc! { "now": "$$NOW" }).await?;
    let found = *found.ok_or("the row is gone")?.get_datetime("now")?;
    let after = local_time(database).await?;
    if before <= now && now <= found && found <= after {
        return Ok(());
    }
    Err(format!("$$NOW in a projection is not the time: {before}, {now}, {found}, {after}").into())
}

async fn local_time(database: &Database) -> Result<DateTime, BoxError> {
    Ok(*database.run_command(doc! { "hello": 1 }).await?.get_datetime("localTime")?)
}

async fn a_second_insert_is_refused(rows: &Collection<Document>) -> Result<(), BoxError> {
    rows.insert_one(doc! { "_id": "twice" }).await?;
    match rows.insert_one(doc! { "_id": "twice" }).await {
        Err(error) if matches!(&*error.kind, ErrorKind::Write(_)) && error.to_string().contains("E11000") => {
            Ok(())
        }
        other => Err(format!("the same _id twice: {other:?}").into()),
    }
}

async fn one_of_many_wins(database: &Database, rows: &Collection<Document>) -> Result<(), BoxError> {
    for round in 0..5 {
        let name = format!("contended-{round}");
        let asked = join_all((0..16).map(|who| {
            let won = doc! { "$set": { "winner": { "$ifNull": ["$winner", who] } } };
            change(database, rows, &name, won, true)
        }));
        let mut told = BTreeSet::new();
        for row in asked.await {
            told.insert(row?.get_i32("winner")?);
        }
        if told.len() != 1 {
            return Err(format!("of 16 upserts at once these are told to have won: {told:?}").into());
        }
    }
    Ok(())
}

/// Of writers at once each replaces another.
async fn each_is_told_what_was_before(
    database: &Database,
    rows: &Collection<Document>,
) -> Result<(), BoxError> {
    change(database, rows, "replaced", doc! { "$set": { "writer": -1 } }, true).await?;
    let asked = join_all((0..16).map(|who| {
        let mine = doc! { "$set": { "writer": who } };
        change(database, rows, "replaced", mine, false)
    }));
    let mut before = BTreeSet::new();
    for row in asked.await {
        before.insert(row?.get_i32("writer")?);
    }
    if before.len() == 16 && before.contains(&-1) {
        return Ok(());
    }
    Err(format!("16 writers at once replaced only {before:?}").into())
}

async fn no_change_is_no_write(database: &Database, rows: &Collection<Document>) -> Result<(), BoxError> {
    let same = doc! { "$replaceWith": { "$mergeObjects": ["$$ROOT", {}] } };
    let update = doc! { "q": { "_id": "clock" }, "u": [same] };
    let reply = database.run_command(doc! { "update": rows.name(), "updates": [update] }).await?;
    if (reply.get_i32("n")?, reply.get_i32("nModified")?) == (1, 0) {
        return Ok(());
    }
    Err(format!("a row that stays as it is was written: {reply}").into())
}

/// Of many who change a row if it is in one state, and so take it out of that, one finds it.
async fn a_condition_holds_when_the_row_is_changed(
    database: &Database,
    rows: &Collection<Document>,
) -> Result<(), BoxError> {
    for round in 0..5 {
        change(database, rows, "passed-on", doc! { "$set": { "writer": -1 } }, true).await?;
        let query = || doc! { "_id": "passed-on", "$expr": { "$eq": ["$writer", -1] } };
        let asked = join_all((0..16).map(|who| {
            let mine = doc! { "$replaceWith": { "$mergeObjects": ["$$ROOT", { "writer": who }] } };
            let command = if who % 2 == 0 {
                doc! { "findAndModify": rows.name(), "query": query(), "update": [mine], "new": true }
            } else {
                doc! { "update": rows.name(), "updates": [{ "q": query(), "u": [mine] }] }
            };
            async move { database.run_command(command).await }
        }));
        let mut told = Vec::new();
        for (who, reply) in (0..).zip(asked.await) {
            let reply = reply?;
            if reply.get_document("value").is_ok() || reply.get_i32("nModified").is_ok_and(|rows| rows > 0) {
                told.push(who);
            }
        }
        let row = change(database, rows, "passed-on", doc! { "$set": {} }, true).await?;
        if told != [row.get_i32("writer")?] {
            return Err(format!("round {round}: these are told to have changed {row}: {told:?}").into());
        }
    }
    Ok(())
}

/// By a statement for many rows: one that is not there, one that stays as it is, two that change by what stands in their places.
async fn changes_of_many_are_counted_and_none_is_lost(
    database: &Database,
    rows: &Collection<Document>,
) -> Result<(), BoxError> {
    const COMMANDS: i32 = 8;
    let names = ["counted-0", "counted-1", "counted-2", "nobody"];
    for name in &names[..3] {
        change(database, rows, name, doc! { "$set": { "writer": 0 } }, true).await?;
    }
    let place = doc! { "$indexOfArray": [{ "$literal": names.to_vec() }, "$_id"] };
    let by = doc! { "$arrayElemAt": [{ "$literal": [{ "by": 0 }, { "by": 1 }, { "by": 2 }, { "by": 3 }] }, place] };
    let more = doc! { "$mergeObjects": ["$$ROOT", { "writer": { "$add": ["$writer", "$$mine.by"] } }] };
    let stage = doc! { "$replaceWith": { "$let": { "vars": { "mine": by }, "in": more } } };
    let query = doc! { "_id": { "$in": names.to_vec() }, "writer": { "$gte": 0 } };
    let update = doc! { "q": query, "u": [stage], "multi": true };
    let command = doc! { "update": rows.name(), "updates": [update], "ordered": false };
    let asked = (0..COMMANDS).map(|_| async { database.run_command(command.clone()).await });
    for reply in join_all(asked).await {
        let reply = reply?;
        if (reply.get_i32("n")?, reply.get_i32("nModified")?) != (3, 2) {
            return Err(format!("of four rows one is missing and two change: {reply}").into());
        }
    }
    for (name, by) in names[..3].iter().zip(0..) {
        let row = change(database, rows, name, doc! { "$set": {} }, true).await?;
        if row.get_i32("writer")? != by * COMMANDS {
            return Err(format!("{COMMANDS} times {by} more make {row}").into());
        }
    }
    Ok(())
}

/// A variable that is a row, and what is in it.
async fn what_a_row_would_be_is_looked_into(
    database: &Database,
    rows: &Collection<Document>,
) -> Result<(), BoxError> {
    let freed = doc! { "$mergeObjects": ["$$ROOT", { "later": "$$NOW" }] };
    let over = doc! { "$lte": ["$$freed.later", "$$NOW"] };
    let looked = doc! { "$let": { "vars": { "freed": freed }, "in": over } };
    let row = change(database, rows, "clock", doc! { "$set": { "over": looked } }, true).await?;
    if row.get_bool("over")? { Ok(()) } else { Err(format!("a row in a variable is unknown: {row}").into()) }
}

async fn change(
    database: &Database,
    rows: &Collection<Document>,
    name: &str,
    stage: Document,
    after: bool,
) -> Result<Document, BoxError> {
    let command = doc! {
        "findAndModify": rows.name(),
        "query": { "_id": name },
        "update": [stage],
        "upsert": true,
        "new": after,
        "fields": { "past": 1, "present": 1, "later": 1, "never": 1, "over": 1, "winner": 1, "writer": 1, "now": "$$NOW" },
    };
    for _ in 0..3 {
        // A stand-in may answer the loser of a race between two inserts with nothing; it is asked again, as by us.
        if let Some(Bson::Document(row)) = database.run_command(command.clone()).await?.remove("value") {
            return Ok(row);
        }
    }
    Err(format!("no row {name:?} after an upsert").into())
}
