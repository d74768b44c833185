-- Distributes Pickup's tables by call. Run it after flask pickup db upgrade, on the coordinator. Not tested on Citus.
SELECT create_distributed_table('pickup_calls', 'call_id');
SELECT create_distributed_table('pickup_assignments', 'call_id', colocate_with => 'pickup_calls');
SELECT create_distributed_table('pickup_outcomes', 'call_id', colocate_with => 'pickup_calls');
SELECT create_distributed_table('pickup_transcripts', 'call_id', colocate_with => 'pickup_calls');
SELECT create_reference_table('pickup_definitions');
SELECT create_reference_table('pickup_forgotten');
SELECT create_reference_table('pickup_snapshots');
SELECT create_reference_table('pickup_looks');
