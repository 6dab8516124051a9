//! Microsoft.Storage.

pub mod blob_container;
pub mod storage_account;
