//! A token made in the data folder itself, while no server has it.

use super::New;
use crate::cli::client::write_json;
use crate::cli::{Ended, Ending, block_on};
use crate::engine::{Engine, NewAccessToken};
use crate::error::{Error, Result};
use crate::model::{AccessToken, ApplicationId, Secret};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Makes a token in `folder`: for whoever has lost the last one. Nothing is sent meanwhile.
pub fn create(new: &New, folder: &Path, json: bool, out: &mut dyn Write) -> Ended {
    if !folder.is_dir() {
        let text = format!("{} is no data folder: there is no such folder", folder.display());
        return Err(Error::invalid(text).into());
    }
    let (token, text) = block_on(make(new, folder))??;
    if json {
        let made = json!({
            "id": token.id.to_string(),
            "name": token.name,
            "appId": token.application.map(|id| id.to_string()),
            "readOnly": token.read_only,
            "createdAt": token.created_at.rfc3339(6),
            "expiresAt": token.expires_at.map(|at| at.rfc3339(6)),
            "token": text.expose(),
        });
        write_json(&made, out)?;
    } else {
        writeln!(out, "{}", text.expose())?;
    }
    Ok(Ending::Good)
}

async fn make(new: &New, folder: &Path) -> Result<(Arc<AccessToken>, Secret)> {
    let mut builder = Engine::builder().data_folder(folder).at_rest();
    if let Some(folder) = &new.providers {
        builder = builder.providers_folder(folder);
    }
    let engine = builder.open().await?;
    let made = async {
        let application = new.app.as_deref().map(|name| named(&engine, name)).transpose()?;
        let (name, read_only, expires_in) = (new.name.clone(), new.read_only, new.expires_in);
        let new = NewAccessToken {
            name,
            application,
            read_only,
            expires_in,
            ..NewAccessToken::default()
        };
        engine.create_access_token(new).await
    };
    let made = made.await;
    engine.close().await?;
    made
}

/// The application of that id or uid.
fn named(engine: &Engine, name: &str) -> Result<ApplicationId> {
    let by_uid = engine.application_by_uid(name).map(|held| held.id);
    let by_id = || engine.application(name.parse().ok()?).ok().map(|held| held.id);
    by_uid.or_else(by_id).ok_or_else(|| {
        Error::not_found(format!("application `{}` does not exist", name.escape_debug()))
    })
}
