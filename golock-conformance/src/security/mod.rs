//! Tools for tests of a store's security: a server with certificates, whoever listens for a password, names that are
//! more than names, and accounts that may do less.
//!
//! A test target with `harness = false` hands its tests to [`main`]; each is given a [`Guarded`] server that the target
//! has for itself, in a container.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::sync::Arc;
//!
//! use golock_conformance::security::{self, Guarded, Recipe, tests};
//!
//! async fn tls_of_another_authority_is_refused(server: Arc<Guarded>) {
//!     let another = security::Authority::new();
//!     // … connect to server.url(), trusting only `another`, and look at the error …
//! #   let _ = (server, another);
//! }
//!
//! fn main() -> ExitCode {
//!     let recipe = Recipe::new(async |_url| Ok(()));
//!     security::main(vec![("redis", recipe)], &tests![tls_of_another_authority_is_refused])
//! }
//! ```

mod authority;
mod guarded;
mod identifiers;
mod operations;
mod secret;

pub use self::authority::{Authority, AuthorityFile, Certificate};
pub use self::guarded::{Guarded, Recipe, main};
pub use self::identifiers::{Opening, hostile, mean_exactly_themselves, names_mean_exactly_themselves};
pub use self::operations::everything;
pub use self::secret::Secret;
pub use crate::servers::tests;
