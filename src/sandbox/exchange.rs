//! Handles one request, from its arrival to the response.

use std::time::Duration;

use axum::response::Response;
use tokio::task::JoinHandle;

use super::account::Account;
use super::course::{Course, CourseEffect};
use super::reply::{Delivery, response};
use super::request::{Incoming, MAX_BODY};
use super::server::Arrival;

pub(crate) async fn exchange(account: Account, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.ok();
    let incoming = Incoming::new(head, body);

    let Arrival { number, allowance, latency, admitted } = account.lock().arrival(&incoming);
    wait(latency).await;
    let delivery = match admitted {
        Err(rejection) => account.lock().reject(number, &rejection),
        Ok(course) => serve(account, number, incoming, course).await,
    };
    response(delivery, number, allowance)
}

async fn serve(account: Account, number: u64, incoming: Incoming, course: Course) -> Delivery {
    wait(course.latency).await;
    let stall = course.stall;
    let delivery = match course.effect {
        CourseEffect::Later(delay) => {
            let at_once = account.lock().put_off(number, &incoming, &course);
            let landing = land(account, number, incoming, course, delay);
            match at_once {
                Some(delivery) => delivery,
                None => landing.await.unwrap_or(Delivery::Nothing),
            }
        }
        _ => account.lock().answer(number, &incoming, &course),
    };
    wait(stall).await;
    delivery
}

/// Carries out a request after a delay, even if the client no longer waits.
fn land(account: Account, number: u64, incoming: Incoming, course: Course, delay: Duration) -> JoinHandle<Delivery> {
    tokio::spawn(async move {
        wait(delay).await;
        account.lock().land(number, &incoming, &course)
    })
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}
