<?php
// A webhook receiver with nothing but PHP.
//
//     WEBHOOK_SECRET=whsec_... php -S 127.0.0.1:8000 receiver.php
declare(strict_types=1);

const TOLERANCE = 300; // seconds

// Whether the sender knows the secret, and the message is not an old one sent again.
function is_genuine(string $secret, string $id, string $timestamp, string $signatures, string $body): bool
{
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > TOLERANCE) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $want = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signatures) as $given) { // several while a secret is rotated; one has to fit
        if (hash_equals($want, $given)) {
            return true;
        }
    }
    return false;
}

// Put it on a queue of yours: what takes long does not belong into the answer's time.
function handle(array $event): void
{
    error_log($event['type'] . ' ' . $event['id'] . ' ' . substr(json_encode($event['data']), 0, 200));
}

$id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
$timestamp = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
$signatures = $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '';
$body = file_get_contents('php://input'); // the bytes as they came
if (!is_genuine((string) getenv('WEBHOOK_SECRET'), $id, $timestamp, $signatures, $body)) {
    http_response_code(401);
    exit;
}
// In real life a unique column in your database; here a file per id.
$seen = sys_get_temp_dir() . '/webhook-' . hash('sha256', $id);
if (!file_exists($seen)) {
    handle(json_decode($body, true, 512, JSON_THROW_ON_ERROR));
    touch($seen);
}
http_response_code(204);
