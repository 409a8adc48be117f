//! The demo's three jobs: ordinary programs with an ordinary driver. They know nothing of Hansard; their password
//! happens to be a token.

#![expect(clippy::print_stdout, reason = "a job tells what it did")]

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio_postgres::{Client, NoTls};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    job: Job,
    /// Where the database is, as the job believes.
    #[arg(long)]
    port: u16,
}

#[derive(Subcommand)]
enum Job {
    /// Scores all films anew and updates public.rankings.
    NightlyReranker,
    /// Fetches passages for a language model.
    RagReader,
    /// Tidies up, and more than that.
    ContractorCleanup,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let password = std::env::var("DATABASE_PASSWORD").context("DATABASE_PASSWORD is not set")?;
    let name = match arguments.job {
        Job::NightlyReranker => "nightly-reranker",
        Job::RagReader => "rag-reader",
        Job::ContractorCleanup => "contractor-cleanup",
    };
    let mut config = tokio_postgres::Config::new();
    config
        .host("127.0.0.1")
        .port(arguments.port)
        .user("app")
        .dbname("ranking")
        .password(password)
        .application_name(name);
    let (client, connection) = config.connect(NoTls).await.context("cannot connect")?;
    let driver = tokio::spawn(connection);
    match arguments.job {
        Job::NightlyReranker => rerank(client).await?,
        Job::RagReader => read(client).await?,
        Job::ContractorCleanup => clean_up(client).await?,
    }
    // The connection ends when the client is gone; the goodbye is on the wire then.
    Ok(driver.await??)
}

/// A film's rating, drawn towards the mean of all the more, the fewer votes it has.
fn weighted(rating: f64, votes: f64, mean: f64, trust: f64) -> f64 {
    votes / (votes + trust) * rating + trust / (votes + trust) * mean
}

async fn rerank(mut client: Client) -> Result<()> {
    let rows = client
        .query(
            "SELECT film_id, imdb_rating, imdb_votes FROM public.films WHERE imdb_votes >= $1 ORDER BY film_id",
            &[&100_i32],
        )
        .await?;
    let films: Vec<(i32, f64, f64)> =
        rows.iter().map(|row| (row.get(0), row.get(1), f64::from(row.get::<_, i32>(2)))).collect();
    let votes: f64 = films.iter().map(|film| film.2).sum();
    let mean = films.iter().map(|film| film.1 * film.2).sum::<f64>() / votes;
    let ids: Vec<i32> = films.iter().map(|film| film.0).collect();

    // Too small a weight lets films with fewer votes to the top: tried, looked at, taken back.
    for trust in [250.0, 25_000.0] {
        let scores: Vec<f64> = films.iter().map(|(_, rating, votes)| weighted(*rating, *votes, mean, trust)).collect();
        let transaction = client.transaction().await?;
        let updated = transaction
            .execute(
                "UPDATE public.rankings AS r SET score = s.score, updated_at = now() \
                 FROM unnest($1::int[], $2::float8[]) AS s(film_id, score) WHERE r.film_id = s.film_id",
                &[&ids, &scores],
            )
            .await?;
        let unknown: i64 = transaction
            .query_one(
                "SELECT count(*) FROM (SELECT film_id FROM public.rankings ORDER BY score DESC LIMIT 10) AS top \
                 JOIN public.films USING (film_id) WHERE imdb_votes < $1",
                &[&100_000_i32],
            )
            .await?
            .get(0);
        if unknown > 0 {
            transaction.rollback().await?;
            println!("trust {trust}: {unknown} of the top ten have few votes; rolled back");
        } else {
            transaction.commit().await?;
            println!("trust {trust}: {updated} rankings updated and committed");
            return Ok(());
        }
    }
    anyhow::bail!("no ranking was good enough")
}

async fn read(client: Client) -> Result<()> {
    let passages = client
        .prepare(
            "SELECT f.title, f.genre, f.released, r.score FROM public.films AS f JOIN public.rankings AS r USING (film_id) \
             WHERE f.title ILIKE '%' || $1 || '%' ORDER BY r.score DESC LIMIT $2",
        )
        .await?;
    let mut found = 0;
    for topic in ["star", "love", "night", "o'"] {
        found += client.query(&passages, &[&topic, &5_i64]).await?.len();
    }
    println!("{found} passages for four questions");
    Ok(())
}

async fn clean_up(client: Client) -> Result<()> {
    let trimmed =
        client.execute("UPDATE public.films SET title = btrim(title) WHERE title <> btrim(title)", &[]).await?;
    let friend =
        client.execute("UPDATE public.films SET imdb_rating = 9.9 WHERE title = $1", &[&"The Land Girls"]).await?;
    let gone = client.batch_execute("DROP TABLE public.access_log").await;
    println!(
        "{trimmed} titles trimmed, {friend} rating set to 9.9, and the access log {}",
        if gone.is_ok() { "dropped" } else { "could not be dropped" }
    );
    Ok(())
}
