//! From one version to the next: what an older one wrote is read, it may go on writing beside the new one, and services are replaced
//! one by one.

mod older;
mod record;
mod recorded;
mod replaced;
