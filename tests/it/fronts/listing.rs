//! GoCardless: `GET /webhooks` page by page, and its filters.

use super::Fronts;
use super::gocardless::{TOKEN, assert_problem, cancelled, shop};
use super::{Answer, answer};
use crate::common::{bench, posts, seconds};
use hookwheel::ApplicationId;
use reqwest::Method;
use serde_json::{Value, json};

impl Fronts {
    async fn webhooks(&self, query: &[(&str, &str)]) -> Answer {
        answer(self.gocardless(TOKEN, Method::GET, "/webhooks").query(query)).await
    }

    /// The page on the side `cursor` of another.
    async fn page(&self, limit: &str, side: &str, of: &Answer) -> Answer {
        self.webhooks(&[("limit", limit), (side, &cursor(of, side).unwrap())]).await
    }
}

fn ids(page: &Answer) -> Vec<String> {
    let webhooks = page.body["webhooks"].as_array().unwrap_or_else(|| panic!("{}", page.body));
    webhooks.iter().map(|webhook| webhook["id"].as_str().unwrap().to_owned()).collect()
}

fn cursor(page: &Answer, name: &str) -> Option<String> {
    page.body["meta"]["cursors"][name].as_str().map(str::to_owned)
}

/// Sends five webhooks a second apart, every other one of several events; their ids, newest first.
async fn five(bench: &crate::common::Bench, fronts: &Fronts, shop: ApplicationId) -> Vec<String> {
    for mandates in [&["MD1"][..], &["MD2", "MD3", "MD4"], &["MD5"], &["MD6", "MD7"], &["MD8"]] {
        cancelled(bench, shop, mandates).await;
        bench.advance(seconds(1)).await;
    }
    let all = fronts.webhooks(&[]).await;
    assert_eq!(all.body["meta"], json!({"cursors": {"before": null, "after": null}, "limit": 50}));
    ids(&all)
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lead_to_the_end_and_back_with_each_webhook_once() {
    let bench = bench().await;
    let (fronts, receiver, application) = shop(&bench).await;
    let all = five(&bench, &fronts, application).await;
    let sent: Vec<Value> = posts(&receiver).iter().rev().map(crate::common::body).collect();
    let sent: Vec<&str> =
        sent.iter().map(|body| body["meta"]["webhook_id"].as_str().unwrap()).collect();
    assert_eq!(all, sent, "newest first");

    let first = fronts.webhooks(&[("limit", "2")]).await;
    assert_eq!(ids(&first), all[..2]);
    assert_eq!(cursor(&first, "before"), None);
    // New webhooks do not move what is being paged through.
    cancelled(&bench, application, &["MD9"]).await;
    let second = fronts.page("2", "after", &first).await;
    assert_eq!(ids(&second), all[2..4]);
    let third = fronts.page("2", "after", &second).await;
    assert_eq!(ids(&third), all[4..]);
    assert_eq!(cursor(&third, "after"), None, "the end");

    let back = fronts.page("3", "before", &third).await;
    assert_eq!(ids(&back), all[1..4], "the nearest ones");
    assert_eq!(cursor(&back, "after").as_ref(), all.get(3));
    let newest = fronts.page("50", "before", &back).await;
    assert_eq!(ids(&newest).len(), 2, "the one that came meanwhile too");
    assert_eq!(cursor(&newest, "before"), None, "the beginning");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exact_last_page_says_that_it_is_the_last() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    let all = five(&bench, &fronts, application).await;
    let page = fronts.webhooks(&[("limit", "5")]).await;
    assert_eq!(ids(&page), all);
    assert_eq!(cursor(&page, "after"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_found_by_when_they_were_made() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    let all = five(&bench, &fronts, application).await;
    let third = "2026-01-15T12:00:02.000Z";
    for (name, from, until) in [("gt", 0, 2), ("gte", 0, 3), ("lt", 3, 5), ("lte", 2, 5)] {
        let page = fronts.webhooks(&[(&format!("created_at[{name}]"), third)]).await;
        assert_eq!(ids(&page), all[from..until], "{name}");
    }
    let between = [
        ("created_at[gte]", "2026-01-15T12:00:01Z"),
        ("created_at[lt]", "2026-01-15T12:00:03Z"),
        ("limit", "1"),
    ];
    let page = fronts.webhooks(&between).await;
    assert_eq!(ids(&page), all[2..3]);
    let after = cursor(&page, "after").unwrap();
    let rest = [&between[..], &[("after", &after)]].concat();
    let page = fronts.webhooks(&rest).await;
    assert_eq!((ids(&page), cursor(&page, "after")), (all[3..4].to_vec(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_through_a_long_history_is_cut_and_goes_on() {
    let bench = bench().await;
    let (fronts, _receiver, application) = shop(&bench).await;
    cancelled(&bench, application, &["MD1"]).await;
    let endpoint = bench.engine.endpoints(application).unwrap().remove(0);
    bench.engine.test(endpoint.id, Default::default()).await.unwrap();
    for _ in 0..6 {
        cancelled(&bench, application, &["MD2"; 1000]).await;
    }
    let cut = fronts.webhooks(&[("is_test", "true")]).await;
    assert_eq!(ids(&cut), Vec::<String>::new(), "5,000 deliveries were looked at");
    let after = cursor(&cut, "after").expect("there is more");
    let rest = fronts.webhooks(&[("is_test", "true"), ("after", &after)]).await;
    assert_eq!((ids(&rest).len(), cursor(&rest, "after")), (1, None));
    let oldest = fronts.webhooks(&[("limit", "500")]).await;
    let oldest = fronts.page("500", "after", &oldest).await;
    let too_far = ids(&oldest).pop().unwrap();
    let refused = fronts.webhooks(&[("before", &too_far)]).await;
    assert_problem(&refused, 422, "validation_failed", "before");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_make_no_sense_are_named() {
    let bench = bench().await;
    let (fronts, _receiver, _) = shop(&bench).await;
    for (name, value) in [
        ("limit", "0"),
        ("limit", "501"),
        ("limit", "many"),
        ("is_test", "maybe"),
        ("successful", "1"),
        ("created_at[gt]", "yesterday"),
        ("after", "WB123"),
        ("before", "nonsense"),
    ] {
        let refused = fronts.webhooks(&[(name, value)]).await;
        assert_problem(&refused, 422, "validation_failed", name);
    }
    let both = fronts.webhooks(&[("after", "WB1"), ("before", "WB2")]).await;
    assert_problem(&both, 422, "validation_failed", "before");
    let unknown = fronts.webhooks(&[("color", "red")]).await;
    assert_problem(&unknown, 400, "invalid_api_usage", "invalid_filters");
}
