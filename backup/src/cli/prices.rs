//! Prices, as options with defaults.

use clap::Args;
use serde_json::{Value, json};

/// Where the defaults come from. Nobody's bill is a list price: say your own.
pub(crate) const SOURCE: &str = "list prices in US dollars as third parties quote them, not read from the providers' own pages: AWS \
                                 us-east-1 (S3 Standard requests and internet egress of the first 10 TB, as quoted in 2025), Azure East \
                                 US, LRS, Hot (as transcribed on 2026-05-05); replace them by your own";

/// What things cost, in one currency.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Prices {
    /// 1,000 GET or HEAD requests to S3
    #[arg(long, value_name = "PRICE", default_value_t = 0.0004, value_parser = price, help_heading = "Prices")]
    pub(crate) s3_read: f64,
    /// 1,000 LIST requests to S3
    #[arg(long, value_name = "PRICE", default_value_t = 0.005, value_parser = price, help_heading = "Prices")]
    pub(crate) s3_list: f64,
    /// Reading a GB of the storage classes that charge for it: *_IA and GLACIER_IR
    #[arg(long, value_name = "PRICE", default_value_t = 0.01, value_parser = price, help_heading = "Prices")]
    pub(crate) s3_retrieval: f64,
    /// A GB from AWS to the internet
    #[arg(long, value_name = "PRICE", default_value_t = 0.09, value_parser = price, help_heading = "Prices")]
    pub(crate) egress: f64,
    /// 10,000 write requests to Azure
    #[arg(long, value_name = "PRICE", default_value_t = 0.055, value_parser = price, help_heading = "Prices")]
    pub(crate) azure_write: f64,
    /// 10,000 read requests to Azure
    #[arg(long, value_name = "PRICE", default_value_t = 0.0044, value_parser = price, help_heading = "Prices")]
    pub(crate) azure_read: f64,
    /// A GB in Azure for a month
    #[arg(long, value_name = "PRICE", default_value_t = 0.018, value_parser = price, help_heading = "Prices")]
    pub(crate) azure_storage: f64,
}

impl Prices {
    pub(crate) fn machine(&self) -> Value {
        json!({
            "s3_read_per_1000": self.s3_read, "s3_list_per_1000": self.s3_list, "s3_retrieval_per_gb": self.s3_retrieval,
            "egress_per_gb": self.egress, "azure_write_per_10000": self.azure_write, "azure_read_per_10000": self.azure_read,
            "azure_storage_per_gb_month": self.azure_storage, "source": SOURCE,
        })
    }
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "a price is a number that is not negative".to_owned())
}
