"""What goes wrong in the life of a broker-based job system, done on purpose on real servers.

1. stale acknowledgement     test_consumers (one message), test_fast (many), test_tripwires (a fast zombie)
2. the broker's own headers  test_headers
3. kill -9 at a point        test_tripwires (claim/ack, end/children, batch/ack), test_fast (in the middle of a batch)
4. zombie                    test_consumers (leased), test_tripwires (fast)
5. memory alarm              test_alarm; integration/test_pressure (what HTTP says)
6. overflow                  integration/test_publisher (every message accounted for), integration/test_pressure (503)
7. rules of RabbitMQ 4.3     test_topology
8. deaf after a cut          test_consumers (leased), test_tripwires, test_fast (fast; liveness goes red)
9. the broker's patience     test_consumers

And everything at once, at random: test_run is a small `make chaos`.
"""
