# A webhook receiver with nothing but Ruby's standard library.
#
#     WEBHOOK_SECRET=whsec_... PORT=8000 ruby receiver.rb
require "json"
require "openssl"
require "socket"

SECRET = ENV.fetch("WEBHOOK_SECRET").delete_prefix("whsec_").unpack1("m")
TOLERANCE = 300 # seconds
SEEN = {} # in real life a unique column in your database

# Whether the sender knows the secret, and the message is not an old one sent again.
def genuine?(headers, body)
  id, timestamp = headers["webhook-id"].to_s, headers["webhook-timestamp"].to_s
  return false unless timestamp.match?(/\A\d+\z/) && (Time.now.to_i - timestamp.to_i).abs <= TOLERANCE

  digest = OpenSSL::HMAC.digest("SHA256", SECRET, "#{id}.#{timestamp}.".b + body)
  want = "v1,#{[digest].pack('m0')}"
  # Several while a secret is rotated; one has to fit.
  headers["webhook-signature"].to_s.split(" ").any? { |given| OpenSSL.secure_compare(want, given) }
end

# Put it on a queue of yours: what takes long does not belong into the answer's time.
def handle(event)
  puts "#{event['type']} #{event['id']} #{event['data'].to_json[0, 200]}"
end

def receive(headers, body)
  return 401 unless genuine?(headers, body)

  id = headers["webhook-id"]
  handle(JSON.parse(body)) unless SEEN.key?(id)
  SEEN[id] = true
  204
end

# As little of HTTP as it takes; use your web framework, and its raw body.
$stdout.sync = true
server = TCPServer.new("127.0.0.1", Integer(ENV.fetch("PORT", "8000")))
loop do
  Thread.start(server.accept) do |client|
    client.gets
    headers = {}
    while (line = client.gets&.chomp) && !line.empty?
      name, value = line.split(":", 2)
      headers[name.downcase] = value.to_s.strip
    end
    status = receive(headers, client.read(headers["content-length"].to_i).to_s)
    client.write("HTTP/1.1 #{status} #{status == 204 ? 'No Content' : 'Unauthorized'}\r\n" \
                 "#{"Content-Length: 0\r\n" unless status == 204}Connection: close\r\n\r\n")
  ensure
    client.close
  end
end
