{{/* The image of a program: (list $ PROGRAM DEFAULT). */}}
{{- define "purelb.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- if $image.repository -}}
{{ $image.repository }}/{{ index . 1 }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- else if $image.tag -}}
{{ (index . 2) | splitList ":" | first }}:{{ $image.tag }}
{{- else -}}
{{ index . 2 }}
{{- end -}}
{{- end }}

{{/* Environment of the allocator that says which addresses are never given. */}}
{{- define "purelb.forbidden" -}}
{{- with .Values.forbiddenAddresses }}
- name: PURELB_FORBIDDEN_ADDRESSES
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Environment of both programs that differs from their defaults. */}}
{{- define "purelb.environment" -}}
{{- with .Values.logFormat }}
- name: PURELB_LOG_FORMAT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Environment of the agent that differs from its defaults. */}}
{{- define "purelb.agentEnvironment" -}}
{{- if not .Values.lbnodeagent.nodeLease }}
- name: PURELB_NODE_LEASE
  value: "false"
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
