"""What agents know, by their public documentation: plugins and the options of each, sections, components. Only what deploy/agents/ may use.

Fluent Bit 5.1 (docs.fluentbit.io), Fluentd 1.19 (docs.fluentd.org) with its plugins systemd, concat, record_modifier and kubernetes_metadata,
OpenTelemetry Collector contrib 0.159 (READMEs of its components)."""


def words(text):
    return set(text.split())


# Fluent Bit. Names in lower case: they are compared so.

FLUENT_BIT_SERVICE = words("""
    flush grace daemon log_level log_file http_server http_listen http_port health_check hc_errors_count hc_retry_failure_count hc_period hot_reload
    scheduler.base scheduler.cap parsers_file storage.path storage.sync storage.checksum storage.max_chunks_up storage.backlog.mem_limit
    storage.metrics storage.delete_irrecoverable_chunks storage.keep.rejected storage.rejected.path storage.rejected.limit storage.trim_files
    storage.type storage.inherit""")

FLUENT_BIT_EVERY = {
    "inputs": words("name tag alias log_level mem_buf_limit storage.type storage.pause_on_chunks_overlimit threaded"),
    "filters": words("name match match_regex alias log_level"),
    "outputs": words("""
        name match match_regex alias log_level retry_limit storage.total_limit_size workers tls tls.verify tls.verify_hostname tls.debug tls.ca_file
        tls.ca_path tls.crt_file tls.key_file tls.key_passwd tls.vhost tls.min_version tls.max_version net.connect_timeout net.io_timeout
        net.keepalive net.keepalive_idle_timeout net.keepalive_max_recycle net.max_worker_connections net.source_address net.tcp_keepalive"""),
}

FLUENT_BIT = {
    "inputs": {
        "tail": words("""
            buffer_chunk_size buffer_max_size path path_key exclude_path offset_key read_from_head read_newly_discovered_files_from_head
            refresh_interval rotate_wait ignore_older ignore_active_older_files skip_long_lines truncate_long_lines skip_empty_lines db db.sync
            db.locking db.journal_mode db.compare_filename exit_on_eof parser key inotify_watcher tag_regex static_batch_size event_batch_size
            file_cache_advise multiline.parser docker_mode docker_mode_flush docker_mode_parser watcher_interval"""),
        "systemd": words("""
            path max_fields max_entries systemd_filter systemd_filter_type db db.sync read_from_tail lowercase strip_underscores"""),
    },
    "filters": {
        "kubernetes": words("""
            buffer_size kube_url kube_ca_file kube_ca_path kube_token_file kube_token_ttl kube_tag_prefix merge_log merge_log_key merge_log_trim
            merge_parser keep_log tls.debug tls.verify tls.verify_hostname tls.vhost use_journal cache_use_docker_id regex_parser
            k8s-logging.parser k8s-logging.exclude labels annotations namespace_labels namespace_annotations namespace_metadata_only
            kube_meta_cache_ttl kube_meta_namespace_cache_ttl kube_meta_preload_cache_dir use_kubelet kubelet_host kubelet_port use_tag_for_meta
            owner_references dns_retries dns_wait_time dummy_meta"""),
        "lua": words("script code call type_int_key type_array_key protected_mode time_as_table enable_flb_null"),
        "record_modifier": words("record remove_key allowlist_key whitelist_key uuid_key"),
    },
    "outputs": {
        "forward": words("""
            host port upstream unix_path time_as_integer tag send_options require_ack_response compress fluentd_compat
            retain_metadata_in_forward_mode add_option shared_key empty_shared_key username password self_hostname"""),
    },
}

# Options that may stand more than once in a section.
FLUENT_BIT_LISTS = words("record systemd_filter remove_key")

# Fluentd. A section is known by the name of the section around it, its own, and its @type; sections of sections follow.

FLUENTD_PLUGIN = words("@type @id @label @log_level")

FLUENTD_SERVER = words("host name port shared_key username password standby weight")
FLUENTD_BUFFER = words("""
    path path_suffix chunk_limit_size total_limit_size chunk_limit_records queue_limit_length queued_chunks_limit_size chunk_full_threshold compress
    flush_at_shutdown flush_mode flush_interval flush_thread_count flush_thread_interval flush_thread_burst_interval delayed_commit_timeout
    overflow_action retry_timeout retry_forever retry_max_times retry_secondary_threshold retry_type retry_wait retry_exponential_backoff_base
    retry_max_interval retry_randomize disable_chunk_backup""")

# (plugin, options, sections: name > (kinds, options)); None: every name will do.
FLUENTD = {
    ("source", "monitor_agent"): (words("bind port tag emit_interval include_config include_retry"), {}),
    ("source", "tail"): (
        words("""
            path tag exclude_path path_key path_timezone pos_file pos_file_compaction_interval read_from_head follow_inodes refresh_interval
            rotate_wait limit_recently_modified skip_refresh_on_startup read_lines_limit read_bytes_limit_per_second multiline_flush_interval
            emit_unmatched_lines encoding from_encoding enable_watch_timer enable_stat_watcher open_on_every_update
            ignore_repeated_permission_error max_line_size glob_policy path_delimiter"""),
        {"parse": {
            "regexp": words("expression ignorecase multiline types time_key keep_time_key time_type time_format null_value_pattern timezone utc localtime timeout"),
            "none": words("message_key"),
        }},
    ),
    ("source", "systemd"): (
        words("path matches read_from_head tag"),
        {"storage": {"local": words("path persistent pretty_print mode dir_mode")},
         "entry": {None: words("field_map field_map_strict fields_strip_underscores fields_lowercase")}},
    ),
    ("filter", "concat"): (
        words("""
            key separator n_lines multiline_start_regexp multiline_end_regexp continuous_line_regexp stream_identity_key flush_interval timeout_label
            use_first_timestamp partial_key partial_value keep_partial_key use_partial_metadata partial_metadata_format keep_partial_metadata
            use_partial_cri_logtag partial_cri_logtag_key partial_cri_stream_key buffer_limit_size buffer_overflow_method"""), {}),
    ("filter", "kubernetes_metadata"): (
        words("""
            kubernetes_url cache_size cache_ttl watch apiVersion client_cert client_key ca_file verify_ssl open_timeout read_timeout
            tag_to_kubernetes_name_regexp bearer_token_file secret_dir annotation_match stats_interval allow_orphans orphaned_namespace_name
            orphaned_namespace_id lookup_from_k8s_field ssl_partial_chain skip_labels skip_pod_labels skip_namespace_labels
            skip_container_metadata skip_master_url skip_namespace_metadata include_ownerrefs_metadata watch_retry_interval
            watch_retry_max_times"""), {}),
    ("filter", "record_modifier"): (words("prepare_value char_encoding remove_keys whitelist_keys"), {"record": {None: None}}),
    ("filter", "record_transformer"): (
        words("remove_keys keep_keys renew_record renew_time_key enable_ruby auto_typecast"), {"record": {None: None}}),
    ("match", "relabel"): (set(), {}),
    ("match", "null"): (set(), {}),
    ("match", "forward"): (
        words("""
            require_ack_response ack_response_timeout send_timeout connect_timeout recover_wait heartbeat_type heartbeat_interval
            phi_failure_detector phi_threshold hard_timeout expire_dns_cache dns_round_robin ignore_network_errors_at_startup tls_version
            tls_ciphers tls_insecure_mode tls_allow_self_signed_cert tls_verify_hostname tls_cert_path tls_client_cert_path
            tls_client_private_key_path compress transport keepalive keepalive_timeout time_as_integer verify_connection_at_startup"""),
        {"server": {None: FLUENTD_SERVER}, "security": {None: words("self_hostname shared_key")}, "buffer": {"file": FLUENTD_BUFFER},
         "secondary": {"secondary_file": words("directory basename append compress")}},
    ),
}
FLUENTD_SYSTEM = words("workers root_dir log_level suppress_repeated_stacktrace emit_error_log_interval suppress_config_dump without_source process_name")

# The Collector. A set says which keys a map has, a dict what each of them is in turn; None is any value, a list is a list of such.

COLLECTOR_RETRY = dict.fromkeys(words("enabled initial_interval randomization_factor multiplier max_interval max_elapsed_time"))
COLLECTOR_OPERATORS = {
    "container": words("id type format add_metadata_from_filepath max_log_size output parse_from parse_to on_error if"),
    "move": words("id type output from to on_error if"),
    "severity_parser": words("id type output parse_from on_error preset mapping overwrite_text if"),
}
COLLECTOR_SEVERITIES = {f"{name}{number}" for name in words("trace debug info warn error fatal") for number in ["", 2, 3, 4]}
COLLECTOR_METADATA = words("""
    k8s.namespace.name k8s.pod.name k8s.pod.hostname k8s.pod.ip k8s.pod.start_time k8s.pod.uid k8s.replicaset.uid k8s.replicaset.name
    k8s.deployment.uid k8s.deployment.name k8s.daemonset.uid k8s.daemonset.name k8s.statefulset.uid k8s.statefulset.name k8s.cronjob.uid
    k8s.cronjob.name k8s.job.uid k8s.job.name k8s.node.name k8s.node.uid k8s.cluster.uid k8s.container.name container.id container.image.name
    container.image.tag container.image.repo_digests service.namespace service.name service.version service.instance.id""")

COLLECTOR = {
    "extensions": {
        "health_check": dict.fromkeys(words("endpoint path response_body tls")),
        "file_storage": {
            **dict.fromkeys(words("directory timeout fsync create_directory directory_permissions recreate")),
            "compaction": dict.fromkeys(words("""
                on_start on_rebound directory max_transaction_size cleanup_on_start rebound_needed_threshold_mib rebound_trigger_threshold_mib
                check_interval""")),
        },
    },
    "receivers": {
        "filelog": {
            **dict.fromkeys(words("""
                include exclude exclude_older_than start_at multiline force_flush_period encoding preserve_leading_whitespaces
                preserve_trailing_whitespaces include_file_name include_file_path include_file_name_resolved include_file_path_resolved
                include_file_owner_name include_file_owner_group_name include_file_record_number poll_interval fingerprint_size
                initial_buffer_size max_log_size max_concurrent_files max_batches acquire_fs_lock attributes resource operators storage""")),
            "retry_on_failure": COLLECTOR_RETRY,
        },
        "journald": {
            **dict.fromkeys(words("directory files start_at units identifiers matches priority grep dmesg storage all operators root_path journalctl_path")),
            "retry_on_failure": COLLECTOR_RETRY,
        },
        "hostmetrics": {
            **dict.fromkeys(words("collection_interval initial_delay root_path")),
            "scrapers": dict.fromkeys(words("cpu disk load filesystem memory network paging processes process system"), {}),
        },
        "otlp": {"protocols": {"grpc": dict.fromkeys(words("endpoint transport tls max_recv_msg_size_mib")),
                               "http": dict.fromkeys(words("endpoint tls cors traces_url_path metrics_url_path logs_url_path"))}},
    },
    "processors": {
        "memory_limiter": dict.fromkeys(words("check_interval limit_mib spike_limit_mib limit_percentage spike_limit_percentage")),
        "k8sattributes": {
            **dict.fromkeys(words("auth_type passthrough wait_for_metadata wait_for_metadata_timeout exclude")),
            "filter": dict.fromkeys(words("node node_from_env_var namespace fields labels")),
            "extract": dict.fromkeys(words("metadata labels annotations otel_annotations deployment_name_from_replicaset")),
            "pod_association": [{"sources": [dict.fromkeys(words("from name"))]}],
        },
        "resource": {"attributes": [dict.fromkeys(words("key value from_attribute from_context action pattern converted_type"))]},
        "resourcedetection": {
            **dict.fromkeys(words("detectors timeout override refresh_interval")),
            "system": dict.fromkeys(words("hostname_sources resource_attributes")),
        },
    },
    "exporters": {
        "otlp": {
            **dict.fromkeys(words("endpoint compression timeout headers auth balancer_name keepalive wait_for_ready")),
            "tls": dict.fromkeys(words("ca_file cert_file key_file insecure insecure_skip_verify server_name_override min_version max_version reload_interval")),
            "retry_on_failure": COLLECTOR_RETRY,
            "sending_queue": {
                **dict.fromkeys(words("enabled num_consumers wait_for_result block_on_overflow sizer queue_size storage")),
                "batch": dict.fromkeys(words("flush_timeout min_size max_size sizer partition")),
            },
        },
    },
    "service": {
        "extensions": None,
        "telemetry": {"logs": dict.fromkeys(words("level encoding")), "metrics": None},
        "pipelines": dict.fromkeys(words("logs traces metrics"), dict.fromkeys(words("receivers processors exporters"))),
    },
}
