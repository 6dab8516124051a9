//! Microsoft.Insights: Azure Monitor.

pub mod diagnostic_setting;
