# A page that greets its visitor with a number from the counter, and /health, which needs the counter to answer.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $address = "127.0.0.1:$ENV{PORT}";
my $server = IO::Socket::INET->new(LocalAddr => $address, Listen => 16, ReuseAddr => 1)
  or die "cannot listen on $address: $!\n";
print "serving http://$address/\n";

sub ask_counter {
  my ($question) = @_;
  my $counter = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ENV{COUNTER_PORT}", Timeout => 1) or return;
  print $counter "$question\n";
  return scalar <$counter> // '';
}

sub answer {
  my ($path) = @_;
  if ($path eq '/health') {
    return defined ask_counter('health') ? (200, "healthy\n") : (503, "no counter\n");
  }
  return (404, "nothing here\n") if $path ne '/';
  my $number = ask_counter('visit');
  return (503, "no counter\n") unless $number;
  chomp $number;
  return (200, "$ENV{GREETING}, visitor $number!\n");
}

while (my $client = $server->accept) {
  eval {
    local $SIG{ALRM} = sub { die "silent\n" };
    alarm 2;
    my ($path) = (<$client> // '') =~ m{^GET (\S+)};
    while (defined(my $header = <$client>)) {
      last if $header =~ /^\r?\n$/;
    }
    my ($status, $body) = answer($path // '');
    print $client "HTTP/1.0 $status \r\nContent-Type: text/plain\r\nContent-Length: ", length $body, "\r\n\r\n", $body;
  };
  alarm 0;
  close $client;
}
