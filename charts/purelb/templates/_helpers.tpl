{{/* What the names of all objects begin with; empty unless the values say otherwise. */}}
{{- define "purelb.prefix" -}}
{{- .Values.fullnameOverride | default .Values.nameOverride | default "" -}}
{{- end }}

{{/* The name of an object: (list $ NAME). */}}
{{- define "purelb.name" -}}
{{- with include "purelb.prefix" (index . 0) }}{{ . }}-{{ end }}{{ index . 1 -}}
{{- end }}

{{/* The name of a role and of its binding: (list $ NAME). */}}
{{- define "purelb.role" -}}
{{ include "purelb.prefix" (index . 0) | default "purelb" }}:{{ index . 1 }}
{{- end }}

{{/* Labels of an object, of which none is a selector: (list $ OWN [MORE]). Of one key, OWN's entry counts. */}}
{{- define "purelb.labels" -}}
{{- $root := index . 0 -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" -}}
{{- $release := dict "app.kubernetes.io/managed-by" $root.Release.Service "helm.sh/chart" $chart -}}
{{- $more := ternary (last .) dict (gt (len .) 2) | default dict -}}
labels:
{{- merge (dict) (index . 1) $release (include "purelb.common" $root | fromYaml) $more ($root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- end }}

{{/* Labels of a workload's pods: (list $ OWN MORE). Of one key, OWN's entry counts. */}}
{{- define "purelb.podLabels" -}}
{{- $root := index . 0 -}}
labels:
{{- merge (dict) (index . 1) (include "purelb.common" $root | fromYaml) (last . | default dict) ($root.Values.commonLabels | default dict) | toYaml | nindent 2 }}
{{- end }}

{{/* Labels that objects and pods have alike. */}}
{{- define "purelb.common" -}}
app.kubernetes.io/name: purelb
app.kubernetes.io/part-of: purelb
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The service account of a program: (list $ PROGRAM). */}}
{{- define "purelb.serviceAccount" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{ ($values.serviceAccount).name | default (include "purelb.name" .) }}
{{- end }}

{{/* The image of a program: (list $ PROGRAM DEFAULT). */}}
{{- define "purelb.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 2 | splitList ":" | first -}}
{{- $all := $root.Values.image -}}
{{- $own := (index $root.Values (index . 1)).image | default dict -}}
{{- $repository := $own.repository | default (ternary (printf "%s/%s" (trimSuffix "/" ($all.repository | default "")) $name) $name (not (empty $all.repository))) -}}
{{- $tag := ternary (index . 2 | splitList ":" | last) ($all.tag | default $root.Chart.AppVersion) (eq (index . 1) "bird") -}}
{{- if $own.digest -}}
{{ $repository }}@{{ $own.digest }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default $tag }}
{{- end -}}
{{- end }}

{{/* When the image of a program is pulled, empty for Kubernetes' own rule: (list $ PROGRAM). */}}
{{- define "purelb.pullPolicy" -}}
{{- $values := (index . 0).Values -}}
{{ ((index $values (index . 1)).image).pullPolicy | default $values.image.pullPolicy | default "" }}
{{- end }}

{{/* Environment of the allocator that says which addresses are never given. */}}
{{- define "purelb.forbidden" -}}
{{- with .Values.forbiddenAddresses }}
- name: PURELB_FORBIDDEN_ADDRESSES
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Where the allocator's status page is, if there is one. */}}
{{- define "purelb.page" -}}
{{- with .Values.allocator.page }}{{- if .enabled }}
- name: PURELB_PAGE_PORT
  value: "7474"
{{- with .host }}
- name: PURELB_PAGE_HOST
  value: {{ . | quote }}
{{- end }}
{{- with .names }}
- name: PURELB_PAGE_NAMES
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}{{- end }}
{{- end }}

{{/* Environment of both programs that differs from their defaults: (list $ PROGRAM). */}}
{{- define "purelb.environment" -}}
{{- $values := (index . 0).Values -}}
{{- with $values.logFormat }}
- name: PURELB_LOG_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- with (index $values (index . 1)).logLevel | default $values.logLevel }}
- name: PURELB_LOG_LEVEL
  value: {{ . | quote }}
{{- end }}
{{- if (($values.monitoring).tls).enabled }}
- name: PURELB_METRICS_TLS
  value: /etc/purelb/metrics-tls
{{- end }}
{{- end }}

{{/* Where the metrics are over TLS, and by which certificate. */}}
{{- define "purelb.metricsPort" -}}
{{- if ((.Values.monitoring).tls).enabled }}
- containerPort: 7473
  name: metrics-tls
{{- end }}
{{- end }}

{{/* What a program mounts beside its own: (list $ PROGRAM). */}}
{{- define "purelb.moreMounts" -}}
{{- $values := (index . 0).Values -}}
{{- if (($values.monitoring).tls).enabled }}
- mountPath: /etc/purelb/metrics-tls
  name: metrics-tls
  readOnly: true
{{- end }}
{{- with (index $values (index . 1)).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The volumes of that. */}}
{{- define "purelb.moreVolumes" -}}
{{- $values := (index . 0).Values -}}
{{- if (($values.monitoring).tls).enabled }}
- name: metrics-tls
  secret:
    optional: true
    secretName: {{ $values.monitoring.tls.secretName | default "purelb-metrics-tls" }}
{{- end }}
{{- with (index $values (index . 1)).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Environment of the agent that differs from its defaults. */}}
{{- define "purelb.agentEnvironment" -}}
{{- if not .Values.lbnodeagent.nodeLease }}
- name: PURELB_NODE_LEASE
  value: "false"
{{- end }}
{{- with .Values.lbnodeagent.gossipProfile }}
- name: PURELB_GOSSIP_PROFILE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.lbnodeagent.announcingFormat }}
- name: PURELB_ANNOUNCING_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- if include "purelb.agentWaits" . }}
- name: PURELB_BIRD_SOCKET
  value: /run/bird/bird.ctl
{{- end }}
{{- end }}

{{/* Environment of the agent that brings a gossip key of the user's own. */}}
{{- define "purelb.gossipKey" -}}
{{- if .Values.memberlistSecretKey }}
- name: ML_GROUP
  valueFrom:
    secretKeyRef:
      name: purelb-memberlist
      key: secretkey
{{- end }}
{{- end }}

{{/* Whether agents hold addresses of the dummy interface back until BIRD has a session; empty: they don't. */}}
{{- define "purelb.agentWaits" -}}
{{- if (.Values.bird).enabled }}
{{- if ne (toString .Values.bird.agentWaits) "false" }}true{{ end }}
{{- end }}
{{- end }}

{{/* Where the agent finds BIRD's socket. */}}
{{- define "purelb.birdMount" -}}
{{- if include "purelb.agentWaits" . }}
- mountPath: /run/bird
  name: bird
{{- end }}
{{- end }}

{{/* The node's folder with BIRD's socket, as bird.yaml has it. */}}
{{- define "purelb.birdVolume" -}}
{{- if include "purelb.agentWaits" . }}
- hostPath:
    path: /run/purelb-bird
    type: DirectoryOrCreate
  name: bird
{{- end }}
{{- end }}

{{/* Which tainted nodes BIRD is on too. */}}
{{- define "purelb.birdTolerations" -}}
{{- if or .Values.bird.controlPlane .Values.bird.tolerations }}
tolerations:
{{- if .Values.bird.controlPlane }}
- effect: NoSchedule
  key: node-role.kubernetes.io/control-plane
  operator: Exists
- effect: NoSchedule
  key: node-role.kubernetes.io/master
  operator: Exists
{{- end }}
{{- with .Values.bird.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
