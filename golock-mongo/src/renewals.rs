//! Renews leases: one by a command that tells its row, many by one that tells how many it extended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use golock_core::backend::each_by_itself;
use golock_core::store::{Operation, RenewAnswer, RenewRequest, StoreError, StoreErrorKind};
use mongodb::bson::doc;

use crate::MongoStore;
use crate::answers::{extended, renewed};
use crate::error::may_be_of_one_row;
use crate::session::{Change, simple_collation};

/// The most leases in one command: 10,000 of 30 s are renewed by less than two commands a second.
pub(crate) const MAX_BATCH: usize = 700;

/// How many of them are in one of its statements: for each row its place among these is looked for.
const STATEMENT: usize = 50;

/// No more than these are renewed each by itself if a row among them holds them up. Of more the engine is told, which parts them:
/// one row costs few commands then.
const FEW: usize = 32;

/// How long a command for many may run: part of the shortest lease, so that it has ended when the engine gives it up, but time
/// enough for a majority to acknowledge it. Of few, half of that, for then each has the other half.
const BATCH_SHARE: u32 = 8;
const BATCH_LEAST: Duration = Duration::from_millis(100);

const DOING: Operation = Operation::Renew;

impl MongoStore {
    pub(crate) async fn renew_all(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        match requests {
            [] => Ok(Vec::new()),
            [request] => Ok(vec![self.renew_one(request, self.session.server().limit()).await?]),
            _ => self.renew_many(requests).await,
        }
    }

    async fn renew_one(&self, request: &RenewRequest, limit: Duration) -> Result<RenewAnswer, StoreError> {
        let change = Change::of(DOING, &request.name, self.statements.renew(request)).within(limit);
        Ok(renewed(self.session.change(&change).await?.as_ref(), request))
    }

    async fn renew_many(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let few = requests.len() <= FEW;
        let shortest = requests.iter().map(|request| request.lease).min().unwrap_or_default();
        let limit = (shortest / BATCH_SHARE).min(self.session.server().limit());
        let limit = if few { limit / 2 } else { limit }.max(BATCH_LEAST).min(self.session.server().limit());
        let statement = |part| {
            let (filter, update) = self.statements.renew_each(part);
            doc! { "q": filter, "u": [update], "multi": true, "collation": simple_collation() }
        };
        let updates = requests.chunks(STATEMENT).map(statement).collect();
        let sent = Instant::now();
        match self.session.update(DOING, updates, Some(limit)).await {
            // A row that stays as it was is not counted. So the end of each has moved, to its lease from then on.
            Ok(changed) if usize::try_from(changed).is_ok_and(|changed| changed == requests.len()) => {
                let took = sent.elapsed();
                Ok(requests.iter().map(|request| extended(request, took)).collect())
            }
            Ok(_) => self.as_they_stand_or_one_by_one(requests, limit).await,
            Err(error) if few && may_be_of_one_row(&error) => {
                each_by_itself(requests, |request| self.renew_one_of_many(request, limit)).await
            }
            Err(error) => Err(error),
        }
    }

    /// One of many: whose row is held up by somebody's open transaction is answered as the row stands, and not
    /// extended, so that the others are.
    async fn renew_one_of_many(
        &self,
        request: &RenewRequest,
        limit: Duration,
    ) -> Result<RenewAnswer, StoreError> {
        match self.renew_one(request, limit).await {
            Err(error) if error.kind() == StoreErrorKind::Timeout => {
                let stands = self.as_they_stand(std::slice::from_ref(request)).await;
                let answers = stands.map_err(StoreError::of_a_part)?;
                let is_alive = |answer: &RenewAnswer| !matches!(answer, RenewAnswer::Lost(_));
                answers.into_iter().find(is_alive).ok_or(error)
            }
            answer => answer,
        }
    }

    /// What a majority knows may be older than a lease, after a failover: one that looks lost is asked for by itself.
    async fn as_they_stand_or_one_by_one(
        &self,
        requests: &[RenewRequest],
        limit: Duration,
    ) -> Result<Vec<RenewAnswer>, StoreError> {
        // Some were extended, so the failure is not of all: one row that can't be read must not cost the others their leases.
        let answers = self.as_they_stand(requests).await.map_err(StoreError::of_a_part)?;
        each_by_itself(requests.iter().zip(answers), |(request, answer)| async move {
            match answer {
                RenewAnswer::Lost(_) => self.renew_one(request, limit).await,
                answer => Ok(answer),
            }
        })
        .await
    }

    /// Extends nothing: what is left of each lease, as a majority knows it. A row that a failover could take back is not
    /// looked at, and one from before the last renewal promises less than there is.
    async fn as_they_stand(&self, requests: &[RenewRequest]) -> Result<Vec<RenewAnswer>, StoreError> {
        let names: Vec<&str> = requests.iter().map(|request| request.name.as_str()).collect();
        let filter = doc! { "_id": { "$in": names } };
        let rows = self.session.find(DOING, filter, requests.len()).await?;
        let rows: HashMap<_, _> = rows.into_iter().collect();
        Ok(requests.iter().map(|request| renewed(rows.get(&request.name), request)).collect())
    }
}
