# Counts visits: whoever sends the line "visit" is told its number. State is in memory only, so a restart is seen.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $address = "127.0.0.1:$ENV{PORT}";
my $server = IO::Socket::INET->new(LocalAddr => $address, Listen => 16, ReuseAddr => 1)
  or die "cannot listen on $address: $!\n";
print "counting on $address\n";

my $visits = 0;
while (my $client = $server->accept) {
  # One client at a time; one that says nothing for a second is dropped, so that it cannot block the others.
  eval {
    local $SIG{ALRM} = sub { die "silent\n" };
    alarm 1;
    my $line = <$client> // '';
    print $client ++$visits, "\n" if $line eq "visit\n";
  };
  alarm 0;
  close $client;
}
