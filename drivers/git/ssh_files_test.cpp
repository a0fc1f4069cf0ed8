#include "drivers/git/ssh_files.h"

#include "testing/catch.h"

using namespace gitproc;

TEST_CASE("a revoked host key is trusted by no line of known_hosts") {
  CHECK(usable_known_hosts("# comment\n"
                           "a.example ssh-ed25519 AAAAone\n"
                           "b.example ssh-ed25519 AAAAtwo comment\n"
                           "@revoked * ssh-ed25519 AAAAtwo\n"
                           "@cert-authority *.example ssh-ed25519 AAAAthree\n") ==
        "a.example ssh-ed25519 AAAAone\n");
}

TEST_CASE("a host that is known by another key is told from one that is not known") {
  std::string text = "a.example,10.0.0.1 ssh-ed25519 AAAA\n[b.example]:2222 ssh-ed25519 AAAA\n";
  CHECK(knowledge_of_host(text, "a.example") == HostKnowledge::known);
  CHECK(knowledge_of_host(text, "10.0.0.1") == HostKnowledge::known);
  CHECK(knowledge_of_host(text, "b.example") == HostKnowledge::known);
  CHECK(knowledge_of_host(text, "c.example") == HostKnowledge::unknown);
  CHECK(knowledge_of_host(text + "|1|salt=|hash= ssh-ed25519 AAAA\n", "c.example") == HostKnowledge::perhaps);
}

TEST_CASE("an RSA key is recognised in each of its forms") {
  CHECK(is_rsa_key("-----BEGIN RSA PRIVATE KEY-----\nMII"));
  CHECK(
      is_rsa_key("-----BEGIN OPENSSH PRIVATE KEY-----\n"
                 "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn\nNhAAAAAwEAAQAA"));
  CHECK_FALSE(
      is_rsa_key("-----BEGIN OPENSSH PRIVATE KEY-----\n"
                 "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\nQyNTUxOQAA"));
}
