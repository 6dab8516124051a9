//! `DataResidency`: the geography that the data may never leave.

use crate::geography::{Region, geographies, geography, region};
use cfn_provider::{
    Error, Result,
    schema::{not_secret, write_only},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

// A model has it as `pub(crate) data_residency: Option<DataResidency>`, without words of its own, so that those below are
// the field's description.
/// The geography that the data may never leave, such as Australia or European Union, or an AWS region that is in it: `!Ref AWS::Region` keeps the data in the stack's own. A Location outside it, or a replication that leaves it, is refused before Azure is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, transform = write_only, transform = not_secret)]
pub struct DataResidency(String);

impl DataResidency {
    /// Refuses a location outside the geography; `pointer` names the property that states the location.
    ///
    /// # Errors
    /// `InvalidRequest` where the location is outside, or where its geography is not known.
    pub(crate) fn check_location(&self, pointer: &str, location: Option<&str>) -> Result<()> {
        self.place(pointer, location).map(|_| ())
    }

    /// Refuses a location outside the geography, and a replication (`Standard_GRS`) whose second copy lies outside it.
    ///
    /// # Errors
    /// As [`Self::check_location`].
    pub(crate) fn check_replication(&self, location: Option<&str>, sku: Option<&str>) -> Result<()> {
        let Some(place) = self.place("/Location", location)? else { return Ok(()) };
        // GRS, RAGRS, GZRS and RAGZRS are the ones with a copy in another region.
        let (Some(sku), Some(pair)) = (sku.filter(|sku| sku.contains("_G") || sku.contains("_RAG")), place.pair) else {
            return Ok(());
        };
        match region(pair) {
            Some(pair) if pair.is_in(self.geography()?) => Ok(()),
            _ => Err(Error::invalid_request(format!(
                "/Sku/Name: {sku} keeps a second copy of {} in {pair}, which is outside the DataResidency {}; choose \
                 Standard_ZRS or Standard_LRS, and another account in the geography for a second copy",
                place.name, self.0
            ))),
        }
    }

    fn place(&self, pointer: &str, location: Option<&str>) -> Result<Option<&'static Region>> {
        let geography = self.geography()?;
        let Some(location) = location else { return Ok(None) };
        let name = location.to_ascii_lowercase().replace(' ', "");
        match region(&name) {
            Some(region) if region.is_in(geography) => Ok(Some(region)),
            Some(region) => Err(Error::invalid_request(format!(
                "{pointer}: {location} is in {}, outside the DataResidency {}",
                region.geography, self.0
            ))),
            None => Err(Error::invalid_request(format!(
                "{pointer}: the geography of {location} is not known here, so the DataResidency {} cannot be assured; \
                 check the spelling, or leave DataResidency out",
                self.0
            ))),
        }
    }

    fn geography(&self) -> Result<&'static str> {
        geography(&self.0).ok_or_else(|| {
            Error::invalid_request(format!(
                "/DataResidency: {} is neither a geography of Azure nor an AWS region with one; the geographies are {}",
                self.0,
                geographies().join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stays_where_it_must() {
        let cases = [
            ("Australia", "australiaeast", "Standard_GRS", None),
            ("Australia", "Australia East", "Standard_RAGZRS", None),
            ("ap-southeast-2", "australiacentral", "Premium_LRS", None),
            ("Singapore", "southeastasia", "Standard_ZRS", None),
            (
                "ap-southeast-1",
                "southeastasia",
                "Standard_GRS",
                Some("/Sku/Name: Standard_GRS keeps a second copy of southeastasia in eastasia"),
            ),
            (
                "sa-east-1",
                "brazilsouth",
                "Standard_RAGZRS",
                Some("in southcentralus, which is outside the DataResidency sa-east-1"),
            ),
            ("Brazil", "brazilsoutheast", "Standard_GRS", None),
            ("European Union", "northeurope", "Standard_GRS", None),
            (
                "European Union",
                "uksouth",
                "Standard_LRS",
                Some("/Location: uksouth is in United Kingdom, outside the DataResidency European Union"),
            ),
            ("Germany", "westeurope", "Standard_LRS", Some("/Location: westeurope is in Europe, outside")),
            (
                "Germany",
                "germanycentral",
                "Standard_LRS",
                Some("/Location: the geography of germanycentral is not known"),
            ),
            // Azure itself refuses what an unpaired region cannot do.
            ("Italy", "italynorth", "Standard_GRS", None),
            (
                "Atlantis",
                "italynorth",
                "Standard_LRS",
                Some("/DataResidency: Atlantis is neither a geography of Azure nor an AWS region"),
            ),
        ];
        for (residency, location, sku, expected) in cases {
            let checked = DataResidency(residency.into()).check_replication(Some(location), Some(sku));
            match (checked, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(says)) => assert!(error.message.contains(says), "{}", error.message),
                (checked, _) => panic!("{residency} {location} {sku}: {checked:?}"),
            }
        }
    }
}
